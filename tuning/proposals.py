"""Sets that passed the gate and wait: compared with the live one search by search, or for an administrator.

A waiting set belongs to a run in state PROPOSED. It is promoted or rejected once, by a run or by a person; the state
changes by a conditional UPDATE in the transaction that moves the live pointer.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from feedback.models import Impression
from feedback.selectors import conclusions_between
from search.errors import Conflict, Refused
from search.models import ParameterSet, Search
from search.parameter_sets import parameter_set_compare, parameter_set_compare_no_more, parameter_set_promote
from search.retrieval.interleaving import BOTH
from search.selectors import live_parameter_set
from tuning.interleaving import Credit, InterleavingVerdict, credits_of, judge_interleaving
from tuning.models import TuningRun

State = TuningRun.State

LONGEST = timedelta(weeks=2)  # that a comparison goes on
FEWEST = 20  # searches in which one of the two sets earned something
_GONE = "Run {} does not wait for a decision any more. Look at it again."


def why_wait(base: ParameterSet, *, now: datetime) -> str:
    """Why a set that passed the gate is not to go live at once, as a sentence; empty when it may."""
    if settings.TM_TUNING_APPROVAL:
        return "It waits for an administrator to promote or reject it."
    share = settings.TM_INTERLEAVE_SHARE
    week = Search.objects.filter(concluded_at__gt=now - timedelta(weeks=1)).count()
    if share > 0 and week >= settings.TM_INTERLEAVE_MIN:
        return f"It is first compared with {base}, side by side in {share:.0%} of searches, for at most two weeks."
    return ""


def proposal_wait(*, run: TuningRun, made: ParameterSet, base: ParameterSet) -> None:
    """Keep a set beside the live one. Raises Conflict when another one is live by now; the caller closes the run."""
    parameter_set_compare(candidate=made, expected=base)
    run.proposed = made


def proposal_promote(run: TuningRun, actor: str, reason: str) -> None:
    """Let a waiting set go live. Conflict when it no longer waits, or when what it was proven against is not live."""
    _said(reason)
    made, base = _waiting(run)
    with transaction.atomic():
        _decide(run, State.LIVE, f"Promoted by {actor}: {reason} {made.reason}")
        try:
            parameter_set_promote(parameter_set=made, expected=base, actor=actor, reason=reason)
        except Conflict:
            raise Conflict(f"{base}, which {made} was proven against, is no longer live: reject it instead.") from None
    run.refresh_from_db()


def proposal_reject(run: TuningRun, actor: str, reason: str) -> None:
    """End the wait of a set that shall not go live. Conflict when it no longer waits."""
    _said(reason)
    made, _ = _waiting(run)
    with transaction.atomic():
        _decide(run, State.REJECTED, f"Rejected by {actor}: {reason} {made.reason}")
        parameter_set_compare_no_more(candidate=made)
    run.refresh_from_db()


def proposals_judge(*, actor: str, now: datetime) -> str:
    """Decide what waits, as far as searches allow. Returns why a proposal goes on waiting; empty when none does."""
    still = ""
    kinds = (TuningRun.Kind.SCHEDULED, TuningRun.Kind.MANUAL)
    for run in TuningRun.objects.filter(state=State.PROPOSED, kind__in=kinds).select_related("proposed", "base"):
        try:
            still = _judge(run, actor=actor, now=now) or still
        except Conflict:
            continue  # decided by somebody else a moment ago
    return still


def _judge(run: TuningRun, *, actor: str, now: datetime) -> str:
    made, base = _waiting(run)
    if live_parameter_set() != base:
        proposal_reject(run, actor, f"{base}, which it was proven against, is no longer live.")
        return ""
    if settings.TM_TUNING_APPROVAL:
        return f"{made}, proposed by run {run.pk}, waits for an administrator. {comparison(run, now=now).reason}"
    verdict = comparison(run, now=now)
    until = (run.finished_at or run.created_at) + LONGEST
    if verdict.state == "candidate":
        proposal_promote(run, actor, verdict.reason)
    elif verdict.state == "live":
        proposal_reject(run, actor, verdict.reason)
    elif now < until:
        return (
            f"{made}, proposed by run {run.pk}, is being compared with {base} until "
            f"{timezone.localtime(until):%d %B %Y}. {verdict.reason}"
        )
    elif verdict.state == "even" and verdict.difference < 0:
        proposal_reject(run, actor, f"{verdict.reason} Two weeks are over, and what there is speaks for {base}.")
    else:
        proposal_promote(run, actor, f"{verdict.reason} Two weeks are over, so what the gate has proven counts.")
    return ""


def comparison(run: TuningRun, *, now: datetime) -> InterleavingVerdict:
    """What the searches that were drafted from both sets say so far."""
    concluded = conclusions_between(None, now).filter(
        search__candidate_set=run.proposed, search__parameter_set=run.base
    )
    credits: list[Credit] = []
    for conclusion in concluded:
        rows = conclusion.impressions.values_list("arm", "preselected", "outcome", "seen")
        arms, preselected, outcomes, seen = zip(*rows, strict=True) if rows else ((), (), (), ())
        # A mark kept on a page that nobody reached was confirmed by nobody.
        chosen = [outcome in Impression.SELECTED and reached for outcome, reached in zip(outcomes, seen, strict=True)]
        team = [BOTH if arm is None else arm for arm in arms]
        live, candidate = credits_of(team, preselected, chosen)
        key = conclusion.search.image_sha256 or str(conclusion.search_id)
        credits.append((key, conclusion.by_id, live, candidate))
    return judge_interleaving(credits, min_searches=FEWEST, seed=run.pk)


def _waiting(run: TuningRun) -> tuple[ParameterSet, ParameterSet]:
    """(set, what it was proven against) of a run that waits; Conflict for any other."""
    if run.state != State.PROPOSED or run.proposed is None or run.base is None:
        raise Conflict(_GONE.format(run.pk))
    return run.proposed, run.base


def _decide(run: TuningRun, state: str, reason: str) -> None:
    """Claim the decision; whoever comes second is refused."""
    now = timezone.now()
    mine = TuningRun.objects.filter(pk=run.pk, state=State.PROPOSED).update(state=state, reason=reason, decided_at=now)
    if not mine:
        raise Conflict(_GONE.format(run.pk))


def _said(reason: str) -> None:
    if not reason.strip():
        raise Refused("Say in a few words why: it is kept with the history.")
