"""A set that examiners contradict is taken back by itself: once, with words, whatever dies in between."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from search.models import LivePointer, ParameterSet, ParameterSetEvent, Search
from search.parameter_sets import parameter_set_create, parameter_set_promote
from search.retrieval.descriptors import DESCRIPTORS
from search.selectors import live_parameter_set
from tests.tuning.weeks import run, week
from tuning import aftercare
from tuning.aftercare import follow_up_live
from tuning.models import TuningRun
from tuning.rollbacks import roll_back

pytestmark = pytest.mark.django_db
State, Kind = TuningRun.State, TuningRun.Kind


@pytest.fixture
def good(register: Any) -> ParameterSet:
    """Live: the weight lies where the examiners of `week` look."""
    return promoted(live_parameter_set(), general=0.9)


@pytest.fixture
def harmful(good: ParameterSet) -> ParameterSet:
    """Made and promoted by the tuning, and worse."""
    made = promoted(good, general=0.2)
    TuningRun.objects.create(kind="scheduled", state=State.LIVE, requested_by="schedule", base=good, proposed=made)
    return made


def promoted(base: ParameterSet, *, general: float) -> ParameterSet:
    parameters = base.unpack()
    rest = (1 - general) / 2
    weights = {**dict.fromkeys(DESCRIPTORS, 0.0), "general": general, "edges": rest, "objects": rest}
    made = parameter_set_create(
        parameters=replace(parameters, default=replace(parameters.default, weights=weights, threshold=0.6)),
        made_by="tuning", reason="looked better", parent=base,
    )  # fmt: skip
    parameter_set_promote(parameter_set=made, expected=base, actor="tuning run 1", reason="looked better")
    return made


def test_what_examiners_contradict_is_rolled_back_with_a_reason_in_words(
    harmful: ParameterSet, good: ParameterSet, make_user: Any
) -> None:
    week(make_user, harmful)
    verdict = follow_up_live()
    assert verdict is not None and verdict.state == "contradicted" and verdict.searches == 40
    assert live_parameter_set() == good
    row = TuningRun.objects.get(kind=Kind.FOLLOW_UP)
    assert row.state == State.LIVE and (row.base, row.proposed) == (harmful, good) and row.searches == 40
    assert f"After {harmful} went live, 40 searches by 4 examiners agreed better with {good}" in row.reason
    assert TuningRun.objects.get(kind="scheduled").state == State.ROLLED_BACK
    event = ParameterSetEvent.objects.get(kind="rolled_back")
    assert event.parameter_set == harmful and event.reason == row.reason and event.actor == "follow-up"


def test_asked_again_it_does_nothing_more(harmful: ParameterSet, good: ParameterSet, make_user: Any) -> None:
    week(make_user, harmful)
    follow_up_live()
    week(make_user, good, seed=1)
    assert follow_up_live() is None  # what came back is not taken back in turn
    assert TuningRun.objects.filter(kind=Kind.FOLLOW_UP).count() == 1 and live_parameter_set() == good


def test_a_set_that_examiners_agree_with_stays(good: ParameterSet, make_user: Any) -> None:
    better = promoted(promoted(good, general=0.2), general=0.9)
    TuningRun.objects.create(kind="scheduled", state=State.LIVE, requested_by="schedule", proposed=better)
    week(make_user, better)
    verdict = follow_up_live()
    assert verdict is not None and verdict.state == "holds" and live_parameter_set() == better


@pytest.mark.parametrize("case", ["by hand", "too few", "before it was live", "drafted from two sets"])
def test_what_says_nothing_takes_nothing_back(harmful: ParameterSet, make_user: Any, case: str) -> None:
    week(make_user, harmful, searches=10 if case == "too few" else 40)
    if case == "by hand":  # an administrator's own set is theirs to take back
        TuningRun.objects.all().delete()
    elif case == "before it was live":
        LivePointer.objects.update(since=LivePointer.objects.get().since + timedelta(hours=1))
    elif case == "drafted from two sets":
        Search.objects.update(candidate_set=harmful)
    verdict = follow_up_live()
    # A set that nobody promoted by tuning is not judged at all; the others wait for searches that count.
    assert (verdict and verdict.state) == (None if case == "by hand" else "wait")
    assert live_parameter_set() == harmful


@pytest.mark.parametrize("where", ["parameter_set_roll_back", "TuningRun.objects.create"])
def test_killed_half_way_everything_is_as_it_was(
    harmful: ParameterSet, good: ParameterSet, make_user: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    week(make_user, harmful)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        if where.startswith("TuningRun"):
            patch.setattr(TuningRun.objects, "create", broken)
        else:
            patch.setattr("tuning.rollbacks.parameter_set_roll_back", broken)
        with pytest.raises(RuntimeError, match="power cut"):
            follow_up_live()
    assert live_parameter_set() == harmful and not ParameterSetEvent.objects.filter(kind="rolled_back").exists()
    assert TuningRun.objects.get().state == State.LIVE
    follow_up_live()
    assert live_parameter_set() == good


def test_somebody_else_s_rollback_a_moment_earlier_wins(
    harmful: ParameterSet, good: ParameterSet, make_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    week(make_user, harmful)
    judged = aftercare.follow_up

    def meanwhile(*args: Any, **kwargs: Any) -> Any:
        promoted(harmful, general=0.5)
        return judged(*args, **kwargs)

    monkeypatch.setattr(aftercare, "follow_up", meanwhile)
    follow_up_live()
    assert not TuningRun.objects.filter(kind=Kind.FOLLOW_UP).exists()
    assert live_parameter_set().unpack().default.weights["general"] == 0.5


def test_the_weekly_run_begins_with_it_and_then_the_cluster_rests(
    harmful: ParameterSet, good: ParameterSet, held_out: None, make_user: Any
) -> None:
    week(make_user, harmful)
    dry = run("dry_run")
    assert live_parameter_set() == harmful and "follow_up" not in dry.metrics
    done = run("scheduled")
    assert live_parameter_set() == good and done.base == good
    assert done.metrics["follow_up"]["state"] == "contradicted"
    assert {d.state for d in done.decisions.all()} == {"resting"} and done.state == State.NO_CHANGE
    roll_back(target=harmful, actor="ada", reason="I know better")  # and a person may bring it back
    assert live_parameter_set() == harmful and run("scheduled").metrics.get("follow_up") is None
