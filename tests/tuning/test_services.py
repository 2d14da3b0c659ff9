"""A week of feedback through the database: evidence, decision, gate, promotion, recovery."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.utils import timezone
from PIL import ImageOps

from search.models import LivePointer, ParameterSet
from search.parameter_sets import parameter_set_create, parameter_set_promote
from search.retrieval.descriptors import DESCRIPTORS
from search.selectors import live_parameter_set
from tests import pictures
from tests.steps import SteppedClock
from tests.tuning.weeks import run, week
from tuning import services
from tuning.evidence import logged_searches
from tuning.models import ClusterDecision, TuningRun
from tuning.services import recover, roll_back, run_carry_out

pytestmark = pytest.mark.django_db
State = TuningRun.State


def test_a_week_of_corrections_becomes_better_live_parameters(
    bad_start: ParameterSet, held_out: None, make_user: Any
) -> None:
    week(make_user, bad_start)
    done = run()
    assert done.state == State.LIVE, done.reason + str(list(done.decisions.values_list("reason", flat=True)))
    live = live_parameter_set()
    assert live == done.proposed and live.parent == bad_start
    decision = done.decisions.get(cluster=0)
    assert decision.action == "weights" and decision.state == "accepted" and decision.pc > 0.25
    assert decision.searches == 40 and decision.examiners == 4
    before, after = decision.before["weights"], decision.after["weights"]
    assert after["general"] > before["general"]
    assert max(abs(after[name] - before[name]) for name in DESCRIPTORS) <= 0.15 + 1e-9
    assert done.gate["passed"] and {m["name"] for m in done.gate["metrics"]} >= {"map100", "recall"}
    assert done.metrics["map100"]["low"] <= done.metrics["map100"]["value"] <= done.metrics["map100"]["high"]
    assert live.unpack().for_cluster(0).weights == after


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(
    bad_start: ParameterSet, held_out: None, make_user: Any
) -> None:
    week(make_user, bad_start)
    done = run("dry_run")
    assert done.state == State.VALIDATED and done.reason.startswith("Would go live")
    assert live_parameter_set() == bad_start and done.proposed is None
    assert run().state == State.LIVE  # and it has used up no evidence


def test_evidence_is_used_once(bad_start: ParameterSet, held_out: None, make_user: Any) -> None:
    week(make_user, bad_start)
    assert run().state == State.LIVE
    again = run()
    assert again.state == State.NO_CHANGE and again.searches == 0


def test_the_held_out_halves_take_turns(
    bad_start: ParameterSet, held_out: None, short_search: None, make_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = []
    plan_week = services.plan_week

    def seen(*args: Any, turn: int, **more: Any) -> Any:
        turns.append(turn)
        return plan_week(*args, turn=turn, **more)

    monkeypatch.setattr(services, "plan_week", seen)
    for kind in ("manual", "dry_run"):  # without evidence nothing is looked for, and no half has judged
        run(kind)
    week(make_user, bad_start, searches=30)
    assert run().state in (State.LIVE, State.REJECTED)
    # A set taken back and an encoder are no turns, nor is a run that failed: the same half would judge again.
    for kind, state in (("follow_up", State.LIVE), ("encoder", State.REJECTED), ("manual", State.FAILED)):
        TuningRun.objects.create(kind=kind, requested_by="test", state=state, base=bad_start)
    for kind in ("dry_run", "scheduled", "manual"):
        run(kind)
    assert turns == [0, 0, 0, 1, 1, 1]
    ClusterDecision.objects.create(
        run=TuningRun.objects.get(kind="scheduled"), cluster=7, searches=30, examiners=3, action="weights",
        state="rejected", reason="Worse.",
    )  # fmt: skip
    run()
    assert turns[-1] == 2


def test_too_little_evidence_waits_and_is_kept(bad_start: ParameterSet, held_out: None, make_user: Any) -> None:
    week(make_user, bad_start, searches=20)
    first = run()
    assert first.state == State.NO_CHANGE
    assert "20 of 30 searches" in first.decisions.get(cluster=0).reason
    week(make_user, bad_start, searches=20, seed=1)
    second = run()
    assert second.decisions.get(cluster=0).searches == 40 and second.state == State.LIVE


def test_searches_under_other_descriptors_are_no_evidence(
    bad_start: ParameterSet, register: Any, make_user: Any
) -> None:
    week(make_user, bad_start, searches=3)
    live = bad_start.unpack()
    assert len(logged_searches(live, timezone.now(), names=DESCRIPTORS)) == 3
    other = replace(live, descriptors_version="d-other")
    assert logged_searches(other, timezone.now(), names=DESCRIPTORS) == []


def test_a_set_that_went_live_meanwhile_is_not_overwritten(
    bad_start: ParameterSet, held_out: None, make_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    week(make_user, bad_start)
    planned = services.plan_week

    def slow(*args: Any, **kwargs: Any) -> Any:
        plan = planned(*args, **kwargs)
        other = parameter_set_create(parameters=bad_start.unpack(), made_by="ada", reason="by hand", parent=bad_start)
        parameter_set_promote(parameter_set=other, expected=bad_start, actor="ada", reason="by hand")
        return plan

    monkeypatch.setattr(services, "plan_week", slow)
    done = run()
    assert done.state == State.REJECTED and "in the meantime" in done.reason
    assert live_parameter_set().made_by == "ada" and not ParameterSet.objects.filter(made_by="tuning").exists()


@pytest.mark.parametrize("where", ["parameter_set_create", "parameter_set_promote", "_decision"])
def test_a_failure_while_promoting_leaves_everything_as_it_was(
    bad_start: ParameterSet, held_out: None, make_user: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    week(make_user, bad_start)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("power cut")

    monkeypatch.setattr(services, where, broken)
    done = run()
    assert done.state == State.FAILED and "untouched" in done.reason
    assert LivePointer.objects.get().parameter_set == bad_start
    assert not ParameterSet.objects.filter(made_by="tuning").exists() and not ClusterDecision.objects.exists()


def test_a_run_is_carried_out_once_however_often_it_is_delivered(bad_start: ParameterSet, held_out: None) -> None:
    first = run()
    assert run_carry_out(run_id=first.pk) == first.state
    first.refresh_from_db()
    assert first.attempts == 1


@pytest.mark.parametrize("ends", ["finds better weights", "fails"])
def test_a_worker_that_wakes_up_late_undoes_nothing(
    bad_start: ParameterSet, held_out: None, make_user: Any, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    week(make_user, bad_start)
    plan_week = services.plan_week

    def slow(*args: Any, progress: Any, **more: Any) -> Any:
        found = plan_week(*args, progress=progress, **more)
        # Meanwhile it was taken for dead, and another worker has seen the run through.
        TuningRun.objects.update(attempts=2, state=State.NO_CHANGE, reason="nothing to do")
        progress(1, 1, "waking up")
        if ends == "fails":
            raise ValueError("too late")
        return found

    monkeypatch.setattr(services, "plan_week", slow)
    done = run()
    assert (done.state, done.reason, done.attempts) == (State.NO_CHANGE, "nothing to do", 2)
    assert live_parameter_set() == bad_start and not done.decisions.exists()


def test_roll_back_marks_the_runs(bad_start: ParameterSet, held_out: None, make_user: Any) -> None:
    week(make_user, bad_start)
    done = run()
    roll_back(target=bad_start, actor="ada", reason="examiners complain")
    done.refresh_from_db()
    assert live_parameter_set() == bad_start and done.state == State.ROLLED_BACK


def test_silent_runs_are_tried_again_and_given_up_after_the_third_time(
    db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    clock = SteppedClock(monkeypatch)
    monkeypatch.setattr(services, "_send", lambda run: bool(sent.append(run.pk)) or True)
    make = TuningRun.objects.create
    # Stamps say nothing: the clock may have been set. What counts is whether they change.
    past, ahead = timezone.now() - timedelta(days=40), timezone.now() + timedelta(days=40)
    dead = make(kind="manual", state="running", requested_by="x", heartbeat_at=ahead, attempts=1)
    hopeless = make(kind="manual", state="running", requested_by="x", heartbeat_at=past, attempts=3)
    busy = make(kind="manual", state="running", requested_by="x", heartbeat_at=past, attempts=1)
    assert recover() == {"requeued": 0, "given_up": 0, "again": 0, "sent": 0}
    clock.now += 31
    TuningRun.objects.filter(pk=busy.pk).update(heartbeat_at=past + timedelta(seconds=5))
    assert recover() == {"requeued": 1, "given_up": 1, "again": 0, "sent": 1}
    states = [TuningRun.objects.get(pk=r.pk).state for r in (dead, hopeless, busy)]
    assert states == ["queued", "failed", "running"] and sent == [dead.pk]
    assert recover()["sent"] == 0  # not again at once
    TuningRun.objects.filter(pk=dead.pk).update(heartbeat_at=ahead)  # sent while the clock was ahead
    assert recover()["sent"] == 1 and sent == [dead.pk, dead.pk]


def test_held_out_queries_are_read_from_a_directory_and_the_test_split_never(
    register: Any, settings: Any, tmp_path: Path, marks_folder: Path
) -> None:
    import json

    for group in range(9):
        picture = pictures.mark(200 + group)
        for instance, variant in enumerate([picture, ImageOps.mirror(picture), ImageOps.invert(picture)]):
            (tmp_path / "queries").mkdir(exist_ok=True)
            variant.save(tmp_path / "queries" / f"{instance + 1}-{group}.png")
    (tmp_path / "pool").mkdir()
    for seed in range(5):
        (tmp_path / "pool" / f"{seed}.png").write_bytes((marks_folder / f"{seed}.png").read_bytes())
    (tmp_path / "pool" / "broken.png").write_bytes(b"no image")
    splits = {"fit": ["0", "1", "2"], "validate": ["3", "4", "5"], "test": ["6", "7", "8"]}
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    settings.TM_HELD_OUT = tmp_path
    snapshot = register.searcher().snapshot

    from tuning.held_out import held_out_load

    fit, validate = held_out_load(snapshot)
    assert {q.group for q in fit.queries} == {"0", "1", "2"} and {q.group for q in validate.queries} == {"3", "4", "5"}
    query = fit.queries[0]
    assert query.similarities.shape == (32, len(DESCRIPTORS)) and query.relevant.sum() == 2
    assert query.similarities[query.own].min() > 0.99  # itself
    assert np.nanmean(query.similarities[query.relevant, 0]) > np.nanmean(query.similarities[~query.relevant, 0])
    digest = hashlib.sha256((marks_folder / "0.png").read_bytes()).hexdigest()
    store = services.engine.vectors
    assert ("T/000", digest) in store.known()  # taken from the register, not described again
    own = Path(settings.TM_DATA_DIR) / "held-out-vectors"
    assert digest not in str([path.name for path in own.rglob("*")])


def test_without_held_out_queries_the_run_fails_with_a_sentence(register: Any, settings: Any, tmp_path: Path) -> None:
    settings.TM_HELD_OUT = tmp_path
    done = run()
    assert done.state == State.FAILED and "held-out" in done.reason and done.reason.endswith(".")
