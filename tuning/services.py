"""Writes of tuning: request a run, carry it out, let its proposal go live or wait, recover.

A run can die at any instant: the live pointer moves in the same transaction that closes the run, so either
both happened or neither. A run belongs to a row and is claimed by a conditional UPDATE: twice is once.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db import DatabaseError, connections, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from search.broker import send
from search.engine import engine
from search.errors import Conflict, Refused, Unavailable
from search.heartbeat import Watch
from search.parameter_sets import parameter_set_create, parameter_set_promote
from search.retrieval import progress
from search.retrieval.parameters import Parameters
from search.retrieval.snapshot import Snapshot
from search.selectors import live_parameter_set
from tuning import schedule
from tuning.aftercare import follow_up_live
from tuning.decision_table import TableConfig
from tuning.evidence import earlier_searches, logged_searches
from tuning.gate import Verdict, paired_bootstrap
from tuning.held_out import held_out_load
from tuning.models import ClusterDecision, TuningRun
from tuning.objective import HeldOut, evaluate_each
from tuning.policy import EARLIER, PolicyConfig, evidence_of, plan_week
from tuning.proposal import JUDGED, Proposal, WeekPlan
from tuning.proposals import proposal_promote, proposal_reject, proposal_wait, proposals_judge, why_wait
from tuning.rollbacks import fitted, resting_clusters, roll_back

__all__ = [
    "gate_json",
    "policy_config",
    "proposal_promote",
    "proposal_reject",
    "rebased",
    "recover",
    "roll_back",
    "run_carry_out",
    "run_json",
    "run_request",
    "run_scheduled",
]

log = logging.getLogger(__name__)
State = TuningRun.State
Kind = TuningRun.Kind

MAX_ATTEMPTS = 3
_HEARTBEAT_SECONDS = 5
_SILENCE_SECONDS = 30.0
_RESEND_AFTER = timedelta(seconds=60)
_CLOCKS_DIFFER = timedelta(seconds=30)

_beats = Watch()


def policy_config() -> PolicyConfig:
    table = TableConfig(min_searches=settings.TM_TUNING_MIN_SEARCHES, min_examiners=settings.TM_TUNING_MIN_EXAMINERS)
    # Wider than the reading of science 1.8 (0.5): here the first cut lies at 50 %, and it must be able to fall.
    return PolicyConfig(table=table, threshold_range=(0.2, 0.98))


def run_request(*, kind: str, requested_by: str, only_cluster: int | None = None) -> TuningRun:
    """Queue a run by hand. With the broker away it waits and `recover` sends it."""
    run = TuningRun.objects.create(kind=kind, requested_by=requested_by, only_cluster=only_cluster)
    transaction.on_commit(lambda: _send(run))
    return run


def run_scheduled(*, now: datetime | None = None) -> str:
    """The run of the instant that the schedule named last; called again for the same instant it does nothing more."""
    named = schedule.instant(now or timezone.now())
    run, new = TuningRun.objects.get_or_create(
        period=schedule.period(named), defaults={"kind": Kind.SCHEDULED, "requested_by": "schedule"}
    )
    if not new:
        log.info("the run scheduled for %s was asked for before: run %s, %s", run.period, run.pk, run.state)
    return run_carry_out(run_id=run.pk)


def run_carry_out(*, run_id: int) -> str:
    """Claim a queued run and see it through. Returns its state."""
    now = timezone.now()
    claimed = TuningRun.objects.filter(pk=run_id, state=State.QUEUED).update(
        state=State.RUNNING, heartbeat_at=now, attempts=F("attempts") + 1
    )
    run = TuningRun.objects.get(pk=run_id)
    if not claimed:
        return run.state
    try:
        with _heart(run):
            _carry_out(run)
    except (Refused, ValueError) as refusal:
        _close(run, State.FAILED, str(refusal))
    except Exception:
        log.exception("tuning run %s failed", run_id)
        _close(
            run,
            State.FAILED,
            "The run failed inside the service; the log says where. The live parameters are untouched.",
        )
    return run.state


def _carry_out(run: TuningRun) -> None:
    if run.kind != Kind.DRY_RUN:
        waiting = _look_back(run)
        if waiting:
            _close(run, State.NO_CHANGE, f"Nothing new is looked for while a proposal waits. {waiting}")
            return
    base = live_parameter_set()
    if base is None:
        raise Unavailable("No parameter set is live yet: ingest marks first.")
    snapshot = engine.searcher().snapshot
    live = rebased(base.unpack(), snapshot)
    until = timezone.now()
    ClusterDecision.objects.filter(run=run).delete()  # of a predecessor that was killed
    config = policy_config()

    def told(done: int, total: int, what: str) -> None:
        progress.step()
        share = done / total if total else 1.0
        _claim(run).update(progress=share, reason=f"Now: {what}.", heartbeat_at=timezone.now())

    fit, validate = held_out_load(snapshot, progress=told)
    # One order of descriptors for all: a JSON column need not keep the order of the weights' keys.
    searches = logged_searches(live, until, names=fit.descriptors)
    plan = plan_week(
        live,
        searches,
        fit,
        validate,
        config=config,
        only_cluster=run.only_cluster,
        earlier=earlier_searches(live, until, names=fit.descriptors, most=EARLIER),
        resting=resting_clusters(
            clusters_version=snapshot.clusters.version, count=len(snapshot.clusters), now=timezone.now()
        ),
        seed=run.pk,
        turn=_turn(run),
        progress=told,
    )
    run.base = base
    run.evidence_until = until
    run.searches = len(searches)
    run.candidates = plan.candidates
    run.candidates_per_second = round(plan.candidates_per_second, 1)
    # On both halves, whichever judged: a curve over the weeks needs the same queries throughout.
    run.metrics |= _metrics(plan.parameters, HeldOut(fit.descriptors, fit.queries + validate.queries))
    if searches:
        overall = evidence_of(searches, config)
        run.metrics |= {"pc": overall.pc, "accuracy": overall.accuracy}
    shown = plan.verdict or next((p.verdict for p in plan.proposals if p.verdict), None)
    run.gate = gate_json(shown) if shown else {}
    _conclude(run, plan)


def _turn(run: TuningRun) -> int:
    """How many runs of parameters before this one came before the gate: as often has one half of the held-out groups
    judged. A dry run shows what the next one will do."""
    earlier = TuningRun.objects.filter(pk__lt=run.pk, kind__in=(Kind.SCHEDULED, Kind.MANUAL))
    return earlier.filter(decisions__state__in=JUDGED).distinct().count()


def _look_back(run: TuningRun) -> str:
    """What earlier runs left open: a set that examiners contradict, a proposal that can be decided on.

    Returns why a proposal goes on waiting; empty when none does. Each step is a transaction of its own, and done
    again after a kill it finds nothing left to do.
    """
    verdict = follow_up_live()
    if verdict is not None:
        run.metrics = {"follow_up": asdict(verdict)}
    return proposals_judge(actor=f"tuning run {run.pk}", now=timezone.now())


def _conclude(run: TuningRun, plan: WeekPlan) -> None:
    """Decisions, parameter set, live pointer and run: one transaction."""
    with transaction.atomic():
        if not _held(run):
            return
        ClusterDecision.objects.bulk_create(_decision(run, proposal) for proposal in plan.proposals)
        if not plan.changed:
            _close(run, State.REJECTED if plan.judged else State.NO_CHANGE, plan.reason)
            return
        if run.kind == Kind.DRY_RUN:
            _close(run, State.VALIDATED, f"Would go live: {plan.reason}")
            return
        base = run.base
        if base is None:
            raise Refused("The run does not know which parameter set it started from.")
        evidence = {
            "run": run.pk,
            "searches": run.searches,
            "gate": {k: v for k, v in run.gate.items() if k != "deltas"},
        }
        wait = why_wait(base, now=timezone.now())
        try:
            with transaction.atomic():
                made = parameter_set_create(
                    parameters=plan.parameters, made_by="tuning", reason=plan.reason, parent=base, evidence=evidence
                )
                if wait:
                    proposal_wait(run=run, made=made, base=base)
                else:
                    parameter_set_promote(
                        parameter_set=made, expected=base, actor=f"tuning run {run.pk}", reason=plan.reason
                    )
        except Conflict as conflict:
            _close(run, State.REJECTED, f"{conflict} (while this run was at work)")
            return
        if wait:
            _close(run, State.PROPOSED, f"{plan.reason} {wait}")
            return
        run.proposed = made
        _close(run, State.LIVE, plan.reason)


def recover() -> dict[str, int]:
    """Runs whose worker or message is gone: tried again, a third time at most. Safe to repeat.

    A scheduled run that failed is tried again too, later and as a run of its own (tuning/schedule.py).
    """
    now = timezone.now()
    schedule.disown_future(now)
    repeated = schedule.again(now)
    silent = TuningRun.objects.filter(pk__in=_silent())
    given_up = silent.filter(attempts__gte=MAX_ATTEMPTS).update(
        state=State.FAILED,
        finished_at=now,
        reason="The tuning worker stopped three times in this run. The live parameters are untouched.",
    )
    requeued = silent.filter(attempts__lt=MAX_ATTEMPTS).update(state=State.QUEUED, heartbeat_at=None)
    ahead = now + _CLOCKS_DIFFER  # a stamp from the future was written while the clock was ahead: it counts as due
    waiting = TuningRun.objects.filter(state=State.QUEUED).filter(
        Q(heartbeat_at=None) | Q(heartbeat_at__lt=now - _RESEND_AFTER) | Q(heartbeat_at__gt=ahead)
    )
    sent = int(repeated is not None and _send(repeated))
    made = Q(created_at__lt=now - timedelta(seconds=10)) | Q(created_at__gt=ahead)
    for run in waiting.filter(Q(attempts__gt=0) | made):
        # heartbeat_at of a queued run is when it was last sent.
        if TuningRun.objects.filter(pk=run.pk, state=State.QUEUED, heartbeat_at=run.heartbeat_at).update(
            heartbeat_at=now
        ):
            sent += _send(run)
    return {"requeued": requeued, "given_up": given_up, "again": int(repeated is not None), "sent": sent}


def _silent() -> list[int]:
    """Running runs whose beat has not changed for so long by this process's own clock: stamps of rows follow a clock
    that may be set."""
    running = TuningRun.objects.filter(state=State.RUNNING)
    beats = dict(running.values_list("pk", "heartbeat_at"))
    _beats.forget(set(_beats.values()) - set(beats))
    return [pk for pk, at in beats.items() if at is None or _beats.still(pk, at) >= _SILENCE_SECONDS]


def _send(run: TuningRun) -> bool:
    from tuning.tasks import run as task

    return send(task, run.pk)


def _close(run: TuningRun, state: str, reason: str) -> None:
    with transaction.atomic():
        if _held(run):
            run.state, run.reason, run.progress, run.finished_at = state, reason, 1.0, timezone.now()
            run.save()


def _claim(run: TuningRun) -> QuerySet[TuningRun]:
    """The run's row, while it is this worker's."""
    return TuningRun.objects.filter(pk=run.pk, state=State.RUNNING, attempts=run.attempts)


def _held(run: TuningRun) -> bool:
    """Whether it still is, and nobody can take it over until the transaction ends.

    A worker that was silent for long, frozen or on a machine that slept, must not undo what another one has done since.
    """
    held = bool(_claim(run).update(heartbeat_at=timezone.now()))
    if not held:
        log.warning("tuning run %s was taken over by another worker; what this one found is dropped", run.pk)
        run.refresh_from_db()
    return held


@contextmanager
def _heart(run: TuningRun) -> Iterator[None]:
    """Beat while this process gets on, whatever it computes, so that `recover` can tell slow from dead."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(_HEARTBEAT_SECONDS):
            if progress.standing():
                continue
            with suppress(DatabaseError):  # one beat that is lost does not end the others
                _claim(run).update(heartbeat_at=timezone.now())
        connections.close_all()  # this thread's own

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        with progress.work(f"tuning run {run.pk}"):
            yield
    finally:
        stop.set()
        with progress.work("the last beat of a tuning run", limit=progress.DATABASE_SECONDS):
            thread.join()


def rebased(live: Parameters, snapshot: Snapshot) -> Parameters:
    """The live parameters as they act on this snapshot."""
    return fitted(live, snapshot.clusters.version)


def _metrics(parameters: Parameters, held_out: HeldOut) -> dict[str, Any]:
    """Held-out figures with 95 % intervals over groups, each query under its own cluster's parameters."""
    own = [parameters.for_cluster(query.cluster) for query in held_out.queries]
    weights = np.array([p.weight_vector(held_out.descriptors) for p in own])
    scores = evaluate_each(held_out, weights, np.array([p.threshold for p in own]))
    groups = [query.group for query in held_out.queries]
    figures = {}
    for name, values in (("map100", scores.ap100[0]), ("recall", scores.recall[0]), ("precision", scores.precision[0])):
        spread = paired_bootstrap(np.zeros_like(values), values, groups)
        figures[name] = {"value": spread.difference, "low": spread.low, "high": spread.high}
    return figures


def gate_json(verdict: Verdict) -> dict[str, Any]:
    data = verdict.to_json()
    figures = data.pop("figures")
    return data | {"metrics": [{"name": name, **figure} for name, figure in figures.items()]}


def _decision(run: TuningRun, proposal: Proposal) -> ClusterDecision:
    evidence, action = proposal.evidence, proposal.action
    data = proposal.to_json()
    detail = {key: data[key] for key in ("trials", "best", "replayed", "candidates")}
    detail["gate"] = gate_json(proposal.verdict) if proposal.verdict else None
    counted = evidence.searches > 0
    return ClusterDecision(
        run=run,
        cluster=proposal.cluster,
        searches=evidence.searches,
        examiners=evidence.examiners,
        pc=evidence.pc if counted else None,
        dc=evidence.dc if counted else None,
        ac=evidence.ac if counted else None,
        action=action.kind.value,
        state=proposal.state,
        step=action.radius,
        path=[str(test) for test in action.path],
        reason=proposal.reason,
        before=proposal.before.to_json(),
        after=proposal.after.to_json(),
        detail=detail,
    )


def run_json(run: TuningRun) -> dict[str, Any]:
    """A finished run as plain data, for `tune --json`."""
    decisions = [
        {
            "cluster": d.cluster, "state": d.state, "action": d.action, "step": d.step, "searches": d.searches,
            "examiners": d.examiners, "pc": d.pc, "dc": d.dc, "ac": d.ac, "reason": d.reason,
            "before": d.before, "after": d.after,
        }
        for d in run.decisions.all()
    ]  # fmt: skip
    return {
        "run": run.pk, "kind": run.kind, "state": run.state, "reason": run.reason, "searches": run.searches,
        "base": str(run.base) if run.base else None, "proposed": str(run.proposed) if run.proposed else None,
        "metrics": run.metrics, "gate": {key: value for key, value in run.gate.items() if key != "deltas"},
        "candidates": run.candidates, "candidates_per_second": run.candidates_per_second, "decisions": decisions,
    }  # fmt: skip
