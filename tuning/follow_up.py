"""Did a parameter set keep its promise once it served? Pure.

Every change is proven on held-out queries before it goes live; afterwards the examiners themselves say whether it was
right. The searches that the new set served are replayed with the old one: had the old one agreed better with
what they selected, beyond chance, the new set is contradicted (the reading of science 1.8, "keep the new vector
if reward did not fall", on paired differences). What examiners keep out of inertia speaks for the set that
served, so a contradiction is never an artefact of inertia.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from search.retrieval.parameters import ClusterParameters, Parameters
from tuning.feedback_objective import FeedbackConfig, LoggedSearch, search_losses, search_weights
from tuning.gate import paired_bootstrap

__all__ = ["FollowUp", "FollowUpConfig", "follow_up"]


@dataclass(frozen=True)
class FollowUpConfig:
    """How much must be seen before a verdict; losses and examiner cap are those of the tuning's own objective."""

    min_searches: int = 20
    min_examiners: int = 2
    feedback: FeedbackConfig = field(default_factory=FeedbackConfig)
    resamples: int = 2000
    seed: int = 0


@dataclass(frozen=True)
class FollowUp:
    """state: "wait" (not enough seen), "holds", or "contradicted".

    difference: mean of loss(before) - loss(after) per search, above 0 where the new set agrees better, with its 95 %
    interval. searches, examiners: those judged. clusters: whose parameters changed and that were searched.
    """

    state: Literal["wait", "holds", "contradicted"]
    searches: int
    difference: float
    low: float
    high: float
    reason: str
    clusters: tuple[int | None, ...]
    examiners: int = 0


def follow_up(
    searches: Sequence[LoggedSearch],
    before: Parameters,
    after: Parameters,
    names: Sequence[str],
    *,
    config: FollowUpConfig | None = None,
) -> FollowUp:
    """Judge `after` by the concluded searches it served, against `before`.

    names: the descriptors in the order of the similarities. Only searches in clusters whose parameters
    differ count. Contradicted: the upper 95 % bound of loss(before) - loss(after) lies below zero, and whichever
    examiner is left out, the others' mean does too: one alone, however busy, takes nothing back.
    """
    c = config or FollowUpConfig()
    judged = [
        s
        for s in searches
        if _differ(before.for_cluster(s.cluster), after.for_cluster(s.cluster)) and s.evaluated().any()
    ]
    clusters = tuple(sorted({s.cluster for s in judged}, key=lambda n: -1 if n is None else n))
    examiners = len({s.examiner for s in judged})
    told = (
        f"{len(judged)} {'search' if len(judged) == 1 else 'searches'} by "
        f"{examiners} {'examiner' if examiners == 1 else 'examiners'}"
    )
    if len(judged) < max(c.min_searches, 1) or examiners < c.min_examiners:
        reason = (
            f"{told} where the parameters changed; {c.min_searches} by {c.min_examiners} are needed to say whether "
            "the change was right."
        )
        return FollowUp("wait", len(judged), 0.0, 0.0, 0.0, reason, clusters, examiners)
    lost_before, lost_after = (_losses(judged, parameters, names, c.feedback) for parameters in (before, after))
    weights = np.where(np.isnan(lost_before), 0.0, search_weights(judged, c.feedback))
    if not weights.any():
        return FollowUp("wait", 0, 0.0, 0.0, 0.0, "Nothing in these searches counts as evidence.", clusters, examiners)
    figure = paired_bootstrap(
        lost_after, lost_before, [s.key for s in judged], weights=weights, resamples=c.resamples, seed=c.seed
    )
    contradicted = figure.high < 0 and _shared(lost_before - lost_after, weights, [s.examiner for s in judged])
    verb = "agreed better with the old parameters" if contradicted else "do not speak against the new parameters"
    if figure.high < 0 and not contradicted:
        verb = "agreed better with the old parameters, but only because of one of them"
    reason = (
        f"{told} {verb}: loss {figure.before:.1%} as served, {figure.after:.1%} with the old ones "
        f"(difference {_points(figure.difference)}, 95 % interval {_points(figure.low)} to {_points(figure.high)})."
    )
    state: Literal["holds", "contradicted"] = "contradicted" if contradicted else "holds"
    return FollowUp(state, len(judged), figure.difference, figure.low, figure.high, reason, clusters, examiners)


def _shared(differences: NDArray[np.float64], weights: NDArray[np.float64], examiners: Sequence[Hashable]) -> bool:
    """Whether the mean lies below zero without any one of the examiners too."""
    for one in set(examiners):
        others = np.where([e != one for e in examiners], weights, 0.0)
        counted = others > 0
        if not others[counted] @ differences[counted] < 0:
            return False
    return True


def _losses(
    searches: Sequence[LoggedSearch], parameters: Parameters, names: Sequence[str], config: FeedbackConfig
) -> NDArray[np.float64]:
    """(s,) loss of each search under its own cluster's parameters."""
    losses = []
    for search in searches:
        own = parameters.for_cluster(search.cluster)
        losses.append(search_losses([search], own.weight_vector(names), own.threshold, config)[0])
    return np.array(losses, dtype=np.float64)


def _differ(a: ClusterParameters, b: ClusterParameters) -> bool:
    """What decides which marks are shown and pre-selected; the extension only says where to look."""
    return dict(a.weights) != dict(b.weights) or a.threshold != b.threshold


def _points(share: float) -> str:
    return f"{100 * share + 0.0:+.1f} points"
