"""Sets that wait: for an administrator, or for searches that compare them with the live one."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from feedback.services import page_seen, search_conclude, selection_set
from search.errors import Conflict, Refused
from search.models import LivePointer, ParameterSet, Search
from search.parameter_sets import parameter_set_create, parameter_set_promote
from search.selectors import live_parameter_set
from tests import factories
from tests.factories import live_set
from tests.tuning.weeks import run, week
from tuning import proposals, services
from tuning.evidence import evidence_starts
from tuning.models import ClusterDecision, TuningRun
from tuning.proposals import comparison, proposal_promote, proposal_reject, proposals_judge
from tuning.services import run_carry_out

pytestmark = pytest.mark.django_db
State = TuningRun.State


@pytest.fixture
def waiting(bad_start: ParameterSet, held_out: None, make_user: Any, settings: Any) -> TuningRun:
    """A run whose proposal passed the gate and is compared with the live set."""
    settings.TM_INTERLEAVE_SHARE, settings.TM_INTERLEAVE_MIN = 0.5, 40
    week(make_user, bad_start)
    return run()


def drafted(waiting: TuningRun, make_user: Any, *, wins: int, of: int = 40, name: str = "d") -> None:
    """Searches whose list held the picks of both sets; in `wins` of them the candidate's mark was added."""
    people = [make_user(f"{name}{n}") for n in range(4)]
    for number in range(of):
        owner = people[number % 4]
        search = factories.done_search(owner, scores=[0.55, 0.5, 0.4], threshold=0.6)
        Search.objects.filter(pk=search.pk).update(
            parameter_set=waiting.base, candidate_set=waiting.proposed, image_sha256=f"{name}-{number}"
        )
        search.refresh_from_db()
        search.results.filter(mark__number="M1").update(arm=0)
        search.results.filter(mark__number="M2").update(arm=1)
        page_seen(search=search, page=1, user=owner)
        won = (number * wins) % of < wins  # spread evenly over the examiners
        selection_set(search=search, number="M2" if won else "M1", selected=True, user=owner)
        search_conclude(search=search, kind="done", user=owner)


def test_with_enough_traffic_a_proposal_waits_beside_the_live_set(waiting: TuningRun, bad_start: ParameterSet) -> None:
    assert waiting.state == State.PROPOSED and "side by side in 50%" in waiting.reason
    assert live_parameter_set() == bad_start and waiting.base == bad_start
    assert waiting.proposed.made_by == "tuning" and LivePointer.objects.get().candidate == waiting.proposed
    assert waiting.gate["passed"] and waiting.decisions.get(cluster=0).state == "accepted"


def test_with_little_traffic_it_goes_live_at_once(
    bad_start: ParameterSet, held_out: None, make_user: Any, settings: Any
) -> None:
    settings.TM_INTERLEAVE_SHARE, settings.TM_INTERLEAVE_MIN = 0.5, 41
    week(make_user, bad_start)
    assert run().state == State.LIVE


@pytest.mark.parametrize(("wins", "state"), [(34, State.LIVE), (6, State.REJECTED), (20, State.PROPOSED)])
def test_the_next_run_promotes_what_examiners_prefer_and_rejects_what_they_do_not(
    waiting: TuningRun, bad_start: ParameterSet, make_user: Any, wins: int, state: str
) -> None:
    drafted(waiting, make_user, wins=wins)
    second = run()
    waiting.refresh_from_db()
    assert waiting.state == state, waiting.reason
    if state == State.PROPOSED:
        assert second.state == State.NO_CHANGE and "while a proposal waits" in second.reason
        assert live_parameter_set() == bad_start and waiting.decided_at is None
    else:
        assert "40 searches by 4 examiners" in waiting.reason and waiting.decided_at
        assert live_parameter_set() == (waiting.proposed if state == State.LIVE else bad_start)
        assert LivePointer.objects.get().candidate is None
        assert second.base == live_parameter_set()  # and then the week is looked at from there


def test_too_few_searches_wait_two_weeks_at_most_and_then_the_gate_counts(
    waiting: TuningRun, bad_start: ParameterSet, make_user: Any
) -> None:
    drafted(waiting, make_user, wins=3, of=5)
    now = timezone.now()
    assert "5 searches" in proposals_judge(actor="tuning run 9", now=now + timedelta(days=7))
    assert live_parameter_set() == bad_start
    assert proposals_judge(actor="tuning run 9", now=now + timedelta(days=15)) == ""
    waiting.refresh_from_db()
    assert waiting.state == State.LIVE and waiting.reason.startswith("Promoted by tuning run 9")
    assert "Two weeks are over" in waiting.reason and live_parameter_set() == waiting.proposed


def test_after_two_weeks_what_leans_to_the_live_set_is_rejected(waiting: TuningRun, make_user: Any) -> None:
    drafted(waiting, make_user, wins=18)
    assert comparison(waiting, now=timezone.now()).state == "even"
    proposals_judge(actor="tuning run 9", now=timezone.now() + timedelta(days=15))
    waiting.refresh_from_db()
    assert waiting.state == State.REJECTED and "speaks for" in waiting.reason


def test_kept_marks_count_less_and_unseen_ones_nothing(
    waiting: TuningRun, make_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = make_user("one")
    search = factories.done_search(owner, scores=[0.9, 0.8, 0.7], threshold=0.6)
    Search.objects.filter(pk=search.pk).update(parameter_set=waiting.base, candidate_set=waiting.proposed)
    search.refresh_from_db()
    search.results.filter(mark__number="M1").update(arm=0)
    search.results.filter(mark__number="M2").update(arm=1, position=99)  # on a page that was not reached
    page_seen(search=search, page=1, user=owner)
    search_conclude(search=search, kind="done", user=owner)
    told: list[Any] = []
    monkeypatch.setattr(proposals, "judge_interleaving", lambda credits, **_: told.extend(credits))
    comparison(waiting, now=timezone.now())
    assert [(live, candidate) for _, _, live, candidate in told] == [(pytest.approx(0.3), 0.0)]


def test_what_was_gathered_while_it_waited_is_no_evidence_about_the_new_set(
    waiting: TuningRun, bad_start: ParameterSet, make_user: Any
) -> None:
    week(make_user, bad_start, seed=1)
    drafted(waiting, make_user, wins=36)
    second = run()
    assert second.searches == 0 and second.state == State.NO_CHANGE
    waiting.refresh_from_db()
    assert evidence_starts()[0] == waiting.decided_at


def test_an_office_can_ask_to_approve_everything(
    bad_start: ParameterSet, held_out: None, make_user: Any, settings: Any
) -> None:
    settings.TM_TUNING_APPROVAL = True
    week(make_user, bad_start)
    asked = run()
    assert asked.state == State.PROPOSED and "administrator" in asked.reason
    later = run("scheduled")
    assert later.state == State.NO_CHANGE and "waits for an administrator" in later.reason
    assert proposals_judge(actor="x", now=timezone.now() + timedelta(days=99))  # however long it takes
    assert live_parameter_set() == bad_start
    proposal_promote(asked, "ada", "looks right")
    assert asked.state == State.LIVE and asked.reason.startswith("Promoted by ada") and "looks right" in asked.reason
    assert live_parameter_set() == asked.proposed


def test_a_person_decides_once(waiting: TuningRun, bad_start: ParameterSet) -> None:
    same = TuningRun.objects.get(pk=waiting.pk)
    with pytest.raises(Refused, match="Say in a few words"):
        proposal_reject(waiting, "ada", "  ")
    services.proposal_reject(waiting, actor="ada", reason="not now")
    assert waiting.state == State.REJECTED and LivePointer.objects.get().candidate is None
    for again in (waiting, same):
        with pytest.raises(Conflict, match="does not wait"):
            proposal_promote(again, "bob", "but I want it")
    assert live_parameter_set() == bad_start


def test_a_run_that_proposes_no_set_cannot_be_promoted(db: Any) -> None:
    encoder = TuningRun.objects.create(kind="encoder", state="proposed", requested_by="x")
    with pytest.raises(Conflict, match="does not wait"):
        proposal_promote(encoder, "ada", "please")


def test_when_another_set_went_live_the_proposal_falls(waiting: TuningRun, bad_start: ParameterSet) -> None:
    other = parameter_set_create(parameters=bad_start.unpack(), made_by="ada", reason="x", parent=bad_start)
    parameter_set_promote(parameter_set=other, expected=bad_start, actor="ada", reason="by hand")
    with pytest.raises(Conflict, match="no longer live"):
        proposal_promote(waiting, "ada", "please")
    waiting.refresh_from_db()
    assert waiting.state == State.PROPOSED and live_parameter_set() == other  # all or nothing
    assert proposals_judge(actor="tuning run 9", now=timezone.now()) == ""
    waiting.refresh_from_db()
    assert waiting.state == State.REJECTED and "no longer live" in waiting.reason


@pytest.mark.parametrize("where", ["parameter_set_create", "proposal_wait", "_decision"])
def test_killed_while_proposing_nothing_waits_and_nothing_is_live(
    bad_start: ParameterSet, held_out: None, make_user: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    settings.TM_TUNING_APPROVAL = True
    week(make_user, bad_start)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(services, where, broken)
        first = run()
    assert first.state == State.FAILED and LivePointer.objects.get().candidate is None
    assert not ParameterSet.objects.filter(made_by="tuning").exists() and not ClusterDecision.objects.exists()
    assert run().state == State.PROPOSED


def test_killed_while_promoting_it_still_waits(
    waiting: TuningRun, bad_start: ParameterSet, make_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafted(waiting, make_user, wins=36)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(proposals, "parameter_set_promote", broken)
        killed = run()
    waiting.refresh_from_db()
    assert killed.state == State.FAILED and waiting.state == State.PROPOSED and live_parameter_set() == bad_start
    second = run()
    waiting.refresh_from_db()
    assert waiting.state == State.LIVE and run_carry_out(run_id=second.pk) == second.state


def test_a_dry_run_decides_nothing(waiting: TuningRun, make_user: Any) -> None:
    drafted(waiting, make_user, wins=36)
    run("dry_run")
    waiting.refresh_from_db()
    assert waiting.state == State.PROPOSED


def child(of: ParameterSet, reason: str = "Better.") -> ParameterSet:
    return parameter_set_create(parameters=of.unpack(), made_by="tuning", reason=reason, parent=of)


def proposal(**values: Any) -> TuningRun:
    base = live_set()
    given = {"kind": "scheduled", "state": "proposed", "base": base, "proposed": child(base)}
    return TuningRun.objects.create(requested_by="schedule", finished_at=timezone.now(), **given | values)


def test_an_approved_proposal_goes_live_and_the_run_before_retires() -> None:
    before = TuningRun.objects.create(kind="manual", state="live", requested_by="ada", proposed=live_set())
    run = proposal()
    proposal_promote(run=run, actor="ada", reason="Looks right.")
    assert live_parameter_set() == run.proposed
    assert (run.state, TuningRun.objects.get(pk=before.pk).state) == ("live", "retired")
    event = run.proposed.events.get()
    assert (event.kind, event.actor, event.reason) == ("live", "ada", "Looks right.")


def test_a_rejected_proposal_changes_nothing_that_serves() -> None:
    run = proposal()
    proposal_reject(run=run, actor="ada", reason="The office moves next week.")
    assert (run.state, live_parameter_set()) == ("rejected", run.base)
    assert "The office moves next week." in run.reason


@pytest.mark.parametrize("decide", [proposal_promote, proposal_reject])
def test_a_decision_needs_a_reason_and_is_made_once(decide: Any) -> None:
    run = proposal()
    with pytest.raises(Refused, match="why"):
        decide(run=run, actor="ada", reason="  ")
    assert TuningRun.objects.get(pk=run.pk).state == "proposed"
    proposal_reject(run=run, actor="ada", reason="No.")
    with pytest.raises(Conflict):
        decide(run=run, actor="ada", reason="Yes.")
    assert TuningRun.objects.get(pk=run.pk).state == "rejected"


def test_a_proposal_made_for_another_base_is_not_approved_and_goes_on_waiting() -> None:
    run = proposal()
    other = child(live_set(), "By hand.")
    parameter_set_promote(parameter_set=other, expected=run.base, actor="eve", reason="By hand.")
    with pytest.raises(Conflict):
        proposal_promote(run=run, actor="ada", reason="Looks right.")
    assert (TuningRun.objects.get(pk=run.pk).state, live_parameter_set()) == ("proposed", other)
