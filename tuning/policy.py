"""The week's policy: from logged searches to proposals per cluster. Pure, and deterministic for a seed.

    evidence (PC, DC, AC) -> decision table -> Optuna within the allowed radius and threshold range
    -> shrink toward the register's parameters -> gate -> accepted or rejected, with the reason in words

The services of the portal and the simulator call the same functions, so what is simulated is what is done.
Evidence is divided: most logged searches guide the search for parameters, the others are shown only to
the gate. Held-out queries come in two halves of disjoint groups, fit and validate: in one run fit guides the search and
validate judges, in the next it is the other way round. So each run is judged on groups that it did not search on, and
over the weeks all of them teach. A test split has no way in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from feedback.change_metrics import ChangeEvidence, aggregate
from search.retrieval.parameters import ClusterParameters, Parameters
from tuning.comparisons import Floats, Region, project
from tuning.decision_table import Action, ActionKind, TableConfig, decide
from tuning.feedback_objective import FeedbackConfig, LoggedSearch, replay, search_losses, search_weights
from tuning.gate import GateConfig, Verdict, judge
from tuning.objective import HeldOut, HeldOutScores, evaluate_each
from tuning.optimiser import Objective, Prepared, SearchConfig, find
from tuning.proposal import Proposal, State, WeekPlan

__all__ = ["EARLIER", "PolicyConfig", "Progress", "apply", "between", "evidence_of", "plan_week", "propose"]

EARLIER = 400
"""Searches that a run may look back upon, besides those it decides by."""
Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is being done)."""


@dataclass(frozen=True)
class PolicyConfig:
    """Everything the policy may be told; the defaults are what a register starts with."""

    table: TableConfig = field(default_factory=TableConfig)
    feedback: FeedbackConfig = field(default_factory=FeedbackConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    threshold_range: tuple[float, float] = (0.5, 0.98)  # science.md 1.8
    threshold_step: float = 0.10  # eta of science.md 1.8: largest change of tau in one week
    shrinkage: float = 30.0  # w0 of design.md 3, in searches
    gate_share: float = 1 / 3  # of the logged searches, kept aside for the gate
    evidence_cap: float = 0.5  # largest share of one examiner in PC, DC, AC
    gate_groups: int = 5  # a cluster with fewer held-out groups is judged on the whole register
    register: bool = True  # also tune the default, which clusters shrink toward, from the evidence of all


def evidence_of(searches: Sequence[LoggedSearch], config: PolicyConfig | None = None) -> ChangeEvidence:
    """PC, DC, AC of these concluded searches as they were served."""
    c = config or PolicyConfig()
    return aggregate([s.metrics() for s in searches], [s.examiner for s in searches], examiner_cap=c.evidence_cap)


def _evidence_of_default(
    parameters: Parameters, searches: Sequence[LoggedSearch], names: Sequence[str], c: PolicyConfig
) -> ChangeEvidence:
    """As served where the default served; replayed with the default where a cluster has its own parameters."""
    default = parameters.default
    metrics = [
        replay([s], default.weight_vector(names), default.threshold)[0]
        if s.cluster in parameters.clusters
        else s.metrics()
        for s in searches
    ]
    return aggregate(metrics, [s.examiner for s in searches], examiner_cap=c.evidence_cap)


def plan_week(
    parameters: Parameters,
    searches: Sequence[LoggedSearch],
    fit: HeldOut,
    validate: HeldOut,
    *,
    config: PolicyConfig | None = None,
    only_cluster: int | None = None,
    resting: Mapping[int | None, str] | None = None,
    earlier: Sequence[LoggedSearch] = (),
    seed: int = 0,
    turn: int = 0,
    progress: Progress | None = None,
) -> WeekPlan:
    """Decide for every cluster that was searched, and put the accepted proposals together.

    parameters: live. searches: the concluded searches since the last run. fit, validate: held-out queries
    of disjoint groups, with the descriptors of the parameters. resting: clusters (None = the default) that must not
    change this week, each with the reason; their evidence is kept. earlier: searches that an earlier run has decided
    by; they call for nothing any more, but still say which parameters agree with examiners. turn: how many runs
    came before the gate before this one; after every second one fit and validate change places. The returned plan's
    parameters differ from the live ones only where a cluster's proposal passed the gate and all of them passed it
    together.
    Raises ValueError when descriptors differ or a held-out split is empty.
    """
    c = config or PolicyConfig()
    if set(fit.descriptors) != set(parameters.names) or fit.descriptors != validate.descriptors:
        raise ValueError("The held-out similarities were made with other descriptors than the live parameters.")
    if not fit.queries or not validate.queries:
        raise ValueError("Tuning needs held-out queries to fit and to validate on; there are none.")
    if turn % 2:
        fit, validate = validate, fit
    by_cluster: dict[int | None, list[LoggedSearch]] = {}
    for search in searches:
        by_cluster.setdefault(search.cluster, []).append(search)
    numbers = sorted(n for n in by_cluster if n is not None)
    targets: list[int | None] = [n for n in numbers if only_cluster in (None, n)]
    if only_cluster is not None and not targets:
        by_cluster[only_cluster] = []
        targets = [only_cluster]

    rest = dict(resting or {})
    before: dict[int | None, list[LoggedSearch]] = {}
    for search in earlier:
        before.setdefault(search.cluster, []).append(search)
    prepared: Prepared = {}
    total = len(targets) + 1
    proposals: list[Proposal] = []
    register: list[Proposal] = []
    toward = parameters.default
    # The default first: it serves clusters with little evidence, and the others shrink toward it. What one
    # cluster shows is no evidence about the rest.
    if c.register and only_cluster is None and len(by_cluster) > 1:
        if progress:
            progress(0, total, "the whole register")
        register = [
            _rests(parameters, None, searches, reason=rest[None], names=fit.descriptors, c=c)
            if None in rest
            else propose(
                parameters, None, searches, fit, validate, config=c, earlier=earlier, seed=seed, prepared=prepared
            )
        ]
        toward = register[0].after if register[0].state == "accepted" else toward
    for done, target in enumerate(targets):
        if progress:
            progress(done, total, f"cluster {target}")
        own = by_cluster[target]
        if target in rest:
            proposals.append(_rests(parameters, target, own, reason=rest[target], names=fit.descriptors, c=c))
            continue
        past = before.get(target, [])
        proposals.append(
            propose(
                parameters,
                target,
                own,
                fit,
                validate,
                config=c,
                toward=toward,
                earlier=past,
                seed=seed,
                prepared=prepared,
            )
        )
    plan = _together(parameters, proposals + register, validate, c)
    if progress:
        progress(total, total, "done")
    return plan


def _rests(
    parameters: Parameters,
    cluster: int | None,
    searches: Sequence[LoggedSearch],
    *,
    reason: str,
    names: Sequence[str],
    c: PolicyConfig,
) -> Proposal:
    """A cluster that is left alone, with what its examiners did all the same."""
    live = parameters.for_cluster(cluster)
    evidence = evidence_of(searches, c) if cluster is not None else _evidence_of_default(parameters, searches, names, c)
    action = Action(ActionKind.RESTING, 0.0, reason)
    return Proposal(cluster, evidence, action, before=live, after=live, state="resting", reason=reason)


def propose(
    parameters: Parameters,
    cluster: int | None,
    searches: Sequence[LoggedSearch],
    fit: HeldOut,
    validate: HeldOut,
    *,
    config: PolicyConfig | None = None,
    toward: ClusterParameters | None = None,
    earlier: Sequence[LoggedSearch] = (),
    seed: int = 0,
    prepared: Prepared | None = None,
) -> Proposal:
    """One cluster's proposal from its own searches; cluster None is the register's default parameters.

    toward: what a cluster is shrunk toward, None = the live default. earlier: see `plan_week`.
    prepared: comparisons of `fit` that clusters with the same live parameters share within one plan.
    """
    c = config or PolicyConfig()
    live = parameters.for_cluster(cluster)
    evidence = (
        evidence_of(searches, c)
        if cluster is not None
        else _evidence_of_default(parameters, searches, fit.descriptors, c)
    )
    action = decide(
        pc=evidence.pc,
        dc=evidence.dc,
        ac=evidence.ac,
        searches=evidence.searches,
        examiners=evidence.examiners,
        config=c.table,
    )
    stay = Proposal(cluster, evidence, action, before=live, after=live, state="none", reason=action.reason)
    if action.kind is ActionKind.NO_DATA:
        return replace(stay, state="no_data")
    if action.kind is ActionKind.NONE:
        return stay

    names = fit.descriptors
    w0 = np.array(live.weight_vector(names))
    w0 = w0 / w0.sum()
    region = Region(w0, action.radius)
    tau_range = _threshold_range(live.threshold, action, evidence, c)
    learn, aside = _divide([*earlier, *searches], c.gate_share, seed)
    objective = Objective(
        feedback=learn,
        feedback_config=c.feedback,
        held_out=fit,
        query_weights=_query_weights(fit, parameters, cluster, c.shrinkage),
        region=region,
        thresholds=tau_range,
        live=(w0, live.threshold),
        config=c.search,
        prepared=prepared,
    )
    # The paper's own step is tried first: tau - eta * DC * sgn (science.md 1.8).
    paper = float(np.clip(live.threshold - c.threshold_step * evidence.dc * _sign(evidence), *tau_range))
    found = find(objective, start=(w0, paper), seed=_seed(seed, cluster))
    best = _parameters(found.weights, found.threshold, live, names)
    share = evidence.searches / (c.shrinkage + evidence.searches) if cluster is not None else 1.0
    pull = _Pull(toward or parameters.default, share, region, tau_range)
    after = _parameters(pull.weights(found.weights, names), pull.threshold(found.threshold), live, names)
    done = replace(
        stay,
        trials=found.trials,
        candidates=found.candidates,
        seconds=found.seconds,
        best=best,
    )
    if found.value <= c.search.smallest_gain or not _moves(live, after):
        reason = f"{action.reason} None of {found.candidates:,} candidates was better than the live parameters."
        return replace(done, reason=reason)
    # The gate sees what was found and, should that fail, a few safer variants; the first that passes is taken.
    shown: list[tuple[ClusterParameters, Verdict]] = []
    judges = _Judges.of(parameters, cluster, live=live, validate=validate, aside=aside, c=c)
    for words, attempt in _attempts(after, live, objective=objective, pull=pull, action=action, c=c):
        judged = judges.verdict(attempt)
        shown.append((attempt, replace(judged, reason=f"{words}{judged.reason}")))
        if judged.passed:
            break
    after, verdict = shown[-1] if shown[-1][1].passed else shown[0]
    state: State = "accepted" if verdict.passed else "rejected"
    before_replay, after_replay = (
        aggregate(
            replay(searches, p.weight_vector(names), p.threshold),
            [s.examiner for s in searches],
            examiner_cap=c.evidence_cap,
        )
        for p in (live, after)
    )
    return replace(
        done,
        after=after,
        state=state,
        verdict=verdict,
        replayed=(before_replay, after_replay),
        reason=f"{action.reason} Best of {found.candidates:,}: {', '.join(_moves(live, after))}. {verdict.reason}",
    )


def apply(parameters: Parameters, proposals: Sequence[Proposal]) -> Parameters:
    """Parameters with the accepted proposals in place; everything else as it was.

    When the default changes, a cluster that had the evidence to be decided on its own and was to stay as it is keeps
    what it had. One without such evidence follows the default, and so does one whose own proposal failed at the gate.
    """
    accepted = [p for p in proposals if p.state == "accepted"]
    default = next((p.after for p in accepted if p.cluster is None), parameters.default)
    own = {p.cluster: p.after for p in accepted if p.cluster is not None}
    if default != parameters.default:
        stay = [p for p in proposals if p.state in ("none", "resting") and p.cluster is not None]
        own |= {p.cluster: p.before for p in stay if p.cluster is not None}
    return replace(parameters, default=default, clusters={**parameters.clusters, **own})


def _together(parameters: Parameters, proposals: list[Proposal], validate: HeldOut, c: PolicyConfig) -> WeekPlan:
    """All accepted proposals at once must pass the gate too, each query under its own parameters."""
    candidates = sum(p.candidates for p in proposals)
    seconds = sum(p.seconds for p in proposals)
    accepted = [p for p in proposals if p.state == "accepted"]
    if not accepted:
        rejected = sum(p.state == "rejected" for p in proposals)
        reason = "No cluster called for a change that was better."
        if not proposals:
            reason = "There were no concluded searches."
        elif rejected:
            reason = f"{rejected} of {len(proposals)} proposals were looked for and rejected by the gate."
        elif all(p.state == "no_data" for p in proposals):
            reason = "No cluster has enough evidence yet."
        return WeekPlan(parameters, tuple(proposals), None, False, reason, candidates, seconds)
    proposed = apply(parameters, proposals)
    verdict = judge(validate, _routed(validate, parameters), _routed(validate, proposed), config=c.gate)
    changed = ", ".join("the register" if p.cluster is None else f"cluster {p.cluster}" for p in accepted)
    if not verdict.passed:
        reason = f"The changes of {changed} passed one by one, but not together. {verdict.reason}"
        return WeekPlan(parameters, tuple(proposals), verdict, False, reason, candidates, seconds)
    reason = f"New parameters for {changed}. {verdict.reason}"
    return WeekPlan(proposed, tuple(proposals), verdict, True, reason, candidates, seconds)


def between(live: ClusterParameters, after: ClusterParameters, share: float) -> ClusterParameters:
    """The way from live to after, gone only so far."""
    names = list(after.weights)
    w0, w1 = (np.array(p.weight_vector(names)) for p in (live, after))
    tau = live.threshold + share * (after.threshold - live.threshold)
    return _parameters(w0 + share * (w1 - w0), tau, live, names)


@dataclass(frozen=True)
class _Pull:
    """What a result is shrunk toward, how much of it stays, and the step that must not be left."""

    toward: ClusterParameters
    share: float  # n / (w0 + n); 1 = no shrinkage
    region: Region
    tau_range: tuple[float, float]

    def weights(self, found: Floats, names: Sequence[str]) -> Floats:
        """(w0 * global + n * cluster) / (w0 + n), then back inside the step."""
        mixed = self.share * found + (1.0 - self.share) * np.array(self.toward.weight_vector(names))
        return np.asarray(project(mixed, self.region)[0], dtype=np.float64)

    def threshold(self, found: float) -> float:
        """The same for tau."""
        return float(np.clip(self.share * found + (1.0 - self.share) * self.toward.threshold, *self.tau_range))


def _attempts(
    after: ClusterParameters,
    live: ClusterParameters,
    *,
    objective: Objective,
    pull: _Pull,
    action: Action,
    c: PolicyConfig,
) -> Iterator[tuple[str, ClusterParameters]]:
    """What was found, then safer variants of it, each with words for the reason.

    Half a step moves every held-out query half as far, so that its gain is told from chance more easily. A cut fitted
    to a few dozen queries is easily too high for others: a lower one can only gain recall. And where the weights do
    not convince, the best cut for the live weights still may.
    """
    yield "", after
    if action.kind is ActionKind.WEIGHTS:
        for share, words in ((0.5, "Half of the way to the new weights: "), (0.25, "A quarter of the way: ")):
            part = replace(between(live, after, share), threshold=after.threshold)
            if _moves(live, part):
                yield words, part
        alone = replace(live, threshold=after.threshold)
        if _moves(live, alone):
            yield "The weights stay and only the threshold moves: ", alone
        cuts = np.linspace(*pull.tau_range, 41)
        values = objective.values(np.tile(objective.live[0], (len(cuts), 1)), cuts)
        best = replace(live, threshold=round(pull.threshold(float(cuts[values.argmax()])), 4))
        if values.max() > c.search.smallest_gain and _moves(live, best):
            yield "The weights stay and only the threshold moves: ", best
    for steps in (0.5, 1.0):
        lowered = replace(after, threshold=round(max(pull.tau_range[0], after.threshold - steps * c.threshold_step), 4))
        if lowered.threshold < after.threshold and _moves(live, lowered):
            yield "With a lower, safer threshold: ", lowered


@dataclass(frozen=True)
class _Judges:
    """What judges one cluster's candidates: held-out queries, searches kept aside, and how live does on both."""

    judged: HeldOut
    scope: str
    before: HeldOutScores
    lost: Floats
    weights: Floats
    aside: Sequence[LoggedSearch]
    feedback: FeedbackConfig
    gate: GateConfig

    @classmethod
    def of(
        cls,
        parameters: Parameters,
        cluster: int | None,
        *,
        live: ClusterParameters,
        validate: HeldOut,
        aside: Sequence[LoggedSearch],
        c: PolicyConfig,
    ) -> _Judges:
        """Judge on the queries this cluster serves; with too few groups, as if it served the whole register."""
        own = HeldOut(
            validate.descriptors, tuple(q for q in validate.queries if _served(q.cluster, cluster, parameters))
        )
        few = own.groups < c.gate_groups
        judged = validate if few else own
        names = validate.descriptors
        lost = search_losses(aside, live.weight_vector(names), live.threshold, c.feedback)
        weights = np.where(np.isnan(lost), 0.0, search_weights(aside, c.feedback))  # without any row that counts
        return cls(
            judged,
            "the whole register's" if few else "its own",
            evaluate_each(judged, live.weight_vector(names), live.threshold),
            lost,
            weights,
            aside,
            c.feedback,
            # A cluster's parameters tried on queries of other clusters say nothing about those clusters.
            replace(c.gate, cluster_groups=len(validate.queries) + 1) if few else c.gate,
        )

    def verdict(self, after: ClusterParameters) -> Verdict:
        names = self.judged.descriptors
        then = evaluate_each(self.judged, after.weight_vector(names), after.threshold)
        lost = search_losses(self.aside, after.weight_vector(names), after.threshold, self.feedback)
        keys = [s.key for s in self.aside]
        feedback = (self.lost, lost, keys, self.weights) if self.weights.any() else None
        verdict = judge(self.judged, self.before, then, feedback=feedback, config=self.gate)
        return replace(verdict, reason=f"{verdict.reason} (Judged on {self.scope} held-out queries.)")


def _routed(held_out: HeldOut, parameters: Parameters) -> HeldOutScores:
    own = [parameters.for_cluster(q.cluster) for q in held_out.queries]
    weights = np.array([p.weight_vector(held_out.descriptors) for p in own])
    return evaluate_each(held_out, weights, np.array([p.threshold for p in own]))


def _served(query_cluster: int | None, cluster: int | None, parameters: Parameters) -> bool:
    if cluster is None:
        return query_cluster is None or query_cluster not in parameters.clusters
    return query_cluster == cluster


def _query_weights(fit: HeldOut, parameters: Parameters, cluster: int | None, shrinkage: float) -> Floats:
    """(q,) weights that sum to 1: the cluster's own queries, shrunk toward all of them when they are few."""
    own = np.array([_served(q.cluster, cluster, parameters) for q in fit.queries], dtype=np.float64)
    weights = own + shrinkage / own.size
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _threshold_range(live: float, action: Action, evidence: ChangeEvidence, c: PolicyConfig) -> tuple[float, float]:
    """Where tau may go this week. THRESHOLD moves it one way; new weights may need either."""
    low, high = live - c.threshold_step, live + c.threshold_step
    if action.kind is ActionKind.THRESHOLD:
        low, high = (low, live) if _sign(evidence) > 0 else (live, high)
    floor, ceiling = c.threshold_range
    # A live threshold outside the range is led back into it.
    return float(np.clip(low, floor, ceiling)), float(np.clip(high, floor, ceiling))


def _sign(evidence: ChangeEvidence) -> int:
    """+1 lowers the threshold: marks were added at least as often as removed."""
    return 1 if evidence.additions >= evidence.removals else -1


def _divide(searches: Sequence[LoggedSearch], share: float, seed: int) -> tuple[list[LoggedSearch], list[LoggedSearch]]:
    """Searches to learn from, and those kept aside; searches for the same thing stay together.

    When either part would be empty both are everything: better a gate on known rows than none.
    """

    def aside(search: LoggedSearch) -> bool:
        digest = hashlib.sha256(f"{seed}:{search.key}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < share * 2**64

    useful = [s for s in searches if s.evaluated().any()]
    kept, learn = [s for s in useful if aside(s)], [s for s in useful if not aside(s)]
    return (learn, kept) if learn and kept else (useful, useful)


def _parameters(weights: Floats, threshold: float, live: ClusterParameters, names: Sequence[str]) -> ClusterParameters:
    """Rounded to four places, which is finer than anything measured and can be read by people."""
    rounded = np.round(weights, 4)
    rounded[int(rounded.argmax())] += 1.0 - rounded.sum()
    return ClusterParameters(
        weights={name: round(float(w), 4) for name, w in zip(names, rounded, strict=True)},
        threshold=round(threshold, 4),
        extension=live.extension,
    )


def _moves(live: ClusterParameters, after: ClusterParameters) -> list[str]:
    """What changes by at least 0.05 %, in words; empty when nothing worth a new parameter set does."""
    moves = [
        f"{name} {live.weights[name]:.1%} to {weight:.1%}"
        for name, weight in after.weights.items()
        if abs(weight - live.weights[name]) >= 0.0005
    ]
    if abs(after.threshold - live.threshold) >= 0.0005:
        moves.append(f"threshold {live.threshold:.1%} to {after.threshold:.1%}")
    return moves


def _seed(seed: int, cluster: int | None) -> int:
    digest = hashlib.sha256(f"{seed}/{cluster}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
