"""May a candidate go live? Paired bootstrap over held-out groups (design.md 5). Pure.

Every held-out query is ranked with the live and with the candidate parameters; only the differences count.
Queries of one group are alike, so whole groups are drawn. The candidate passes when

- the lower 95 % bounds of the change in mAP@100 and in safety (the share of true conflicts that an examiner cannot
  miss: pre-selected or on the first page; HeldOutScores.relied) are above -epsilon;
- on average neither safety nor F1 of the pre-selection falls by more than a hair: with a few dozen groups a bound alone
  would have to be so wide that losses slip through, or so tight that nothing ever changes;
- no cluster with enough groups loses more than a set limit of mAP@100;
- the selections of examiners that were kept out of the search are explained better than before.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuning.objective import HeldOut, HeldOutScores

__all__ = ["Figure", "GateConfig", "QueryDelta", "Verdict", "judge", "paired_bootstrap"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GateConfig:
    """Limits of the gate, in shares (0.005 is half a point)."""

    epsilon: float = 0.005  # mAP@100
    safety_epsilon: float = 0.015  # true conflicts pre-selected or on the first page
    safety_mean: float = 0.002  # the same, on average
    f1_epsilon: float = 0.005  # F1 of the pre-selection, on average
    cluster_limit: float = 0.02  # largest loss of mAP@100 of one cluster
    cluster_groups: int = 5  # clusters with fewer groups are too small to judge alone: one rank would veto for ever
    feedback_gain: float = 0.001  # by how much the selections kept aside must be explained better
    resamples: int = 2000
    seed: int = 0

    @classmethod
    def open(cls) -> GateConfig:
        """A gate that lets everything through: only to see what the gate is worth."""
        return cls(
            epsilon=2.0, safety_epsilon=2.0, safety_mean=2.0, f1_epsilon=2.0, cluster_limit=2.0, feedback_gain=-2.0
        )


@dataclass(frozen=True)
class Figure:
    """One measure before and after, and the 95 % interval of its change."""

    before: float
    after: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class QueryDelta:
    """One held-out query, before and after."""

    name: str
    group: str
    cluster: int | None
    ap_before: float
    ap_after: float
    recall_before: float
    recall_after: float

    @property
    def delta(self) -> float:
        """Change of AP@100."""
        return self.ap_after - self.ap_before


@dataclass(frozen=True)
class Verdict:
    """The gate's answer. figures: "map100", "safety", "recall", "precision", "f1", and "feedback" where judged.

    clusters: change of mAP@100 of each cluster with queries. deltas: query by query, worst first.
    """

    passed: bool
    reason: str
    figures: dict[str, Figure]
    clusters: dict[int, float]
    deltas: tuple[QueryDelta, ...]
    groups: int

    def to_json(self) -> dict[str, Any]:
        """Plain data for storing and for the page."""
        return {
            "passed": self.passed,
            "reason": self.reason,
            "groups": self.groups,
            "figures": {name: asdict(figure) for name, figure in self.figures.items()},
            "clusters": {str(cluster): change for cluster, change in self.clusters.items()},
            "deltas": [{**asdict(d), "delta": d.delta} for d in self.deltas],
        }


def judge(
    held_out: HeldOut,
    before: HeldOutScores,
    after: HeldOutScores,
    *,
    feedback: tuple[ArrayLike, ArrayLike, Sequence[Hashable], ArrayLike] | None = None,
    config: GateConfig | None = None,
) -> Verdict:
    """Compare (1, q) figures of the same held-out queries under live and candidate parameters.

    feedback: losses per search before and after, what each search was for (drawn together), and the
    searches' weights; None leaves that condition out. Raises ValueError without queries.
    """
    c = config or GateConfig()
    queries = held_out.queries
    if not queries:
        raise ValueError("The gate needs held-out queries.")
    groups = [q.group for q in queries]
    live_precision = float(before.precision[0].mean())
    pairs = {
        "map100": (before.ap100, after.ap100),
        "safety": (before.relied(live_precision), after.relied(live_precision)),
        "recall": (before.recall, after.recall),
        "precision": (before.precision, after.precision),
        "f1": (before.f1, after.f1),
    }
    figures = {
        name: paired_bootstrap(b[0], a[0], groups, resamples=c.resamples, seed=c.seed) for name, (b, a) in pairs.items()
    }
    if feedback is not None:
        lost_before, lost_after, keys, weights = feedback
        figures["feedback"] = paired_bootstrap(
            1.0 - np.asarray(lost_before, dtype=np.float64),
            1.0 - np.asarray(lost_after, dtype=np.float64),
            keys,
            weights=weights,
            resamples=c.resamples,
            seed=c.seed,
        )
    deltas = [
        QueryDelta(q.name, str(q.group), q.cluster, *(float(v[0, i]) for v in values))
        for i, q in enumerate(queries)
        for values in [(before.ap100, after.ap100, before.recall, after.recall)]
    ]
    clusters, worst = _clusters(deltas, c)
    passed, reason = _verdict(figures, worst, len(set(groups)), c)
    ordered = tuple(sorted(deltas, key=lambda d: (d.delta, d.name)))
    return Verdict(passed, reason, figures, clusters, ordered, len(set(groups)))


def paired_bootstrap(
    before: ArrayLike,
    after: ArrayLike,
    groups: Sequence[Hashable],
    *,
    weights: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Figure:
    """Mean change of paired values with its 95 % percentile interval, drawing whole groups.

    before, after: (q,) values of the same items; groups: (q,) labels; weights: (q,), None = 1 each.
    Raises ValueError when lengths differ or nothing has weight.
    """
    b, a = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    w = np.ones(b.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if b.ndim != 1 or not b.shape == a.shape == w.shape == (len(groups),) or not w.sum() > 0:
        raise ValueError("A paired comparison needs one value before and after, and a group, per item.")
    names = {g: i for i, g in enumerate(dict.fromkeys(groups))}
    index = np.array([names[g] for g in groups])
    sums = np.bincount(index, weights=w * np.where(w > 0, a - b, 0.0))
    sizes = np.bincount(index, weights=w)
    draws = _draws(len(names), resamples, seed)
    total = draws @ sizes
    means = (draws @ sums)[total > 0] / total[total > 0]
    low, high = np.percentile(means, [2.5, 97.5])
    used = w > 0
    share = w[used] / w.sum()
    return Figure(
        before=float(share @ b[used]),
        after=float(share @ a[used]),
        difference=float(sums.sum() / w.sum()),
        low=float(low),
        high=float(high),
    )


@lru_cache(maxsize=64)
def _draws(groups: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """(resamples, groups) how often each group is drawn: the same for every comparison of as many groups."""
    found = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1.0 / groups), size=resamples)
    found.flags.writeable = False
    return found


def _clusters(deltas: list[QueryDelta], c: GateConfig) -> tuple[dict[int, float], tuple[int, float] | None]:
    """Change per cluster, and the worst cluster that is large enough to be judged."""
    changes: dict[int, float] = {}
    worst: tuple[int, float] | None = None
    for cluster in sorted({d.cluster for d in deltas if d.cluster is not None}):
        members = [d for d in deltas if d.cluster == cluster]
        change = changes[cluster] = float(np.mean([d.delta for d in members]))
        large = len({d.group for d in members}) >= c.cluster_groups
        if large and (worst is None or change < worst[1]):
            worst = cluster, change
    return changes, worst


def _verdict(
    figures: dict[str, Figure], worst: tuple[int, float] | None, groups: int, c: GateConfig
) -> tuple[bool, str]:
    """Passed or not, and why in one sentence; every condition that fails is named."""
    failed = []
    for name, words, limit in (
        ("map100", "mAP@100", c.epsilon),
        ("safety", "the share of conflicts pre-selected or on the first page", c.safety_epsilon),
    ):
        f = figures[name]
        if not f.low > -limit:
            failed.append(
                f"{words} may fall by {_points(-f.low)} (change {_signed(f.difference)}, "
                f"95 % interval {_signed(f.low)} to {_signed(f.high)}; allowed is {_points(limit)})"
            )
    if figures["safety"].difference < -c.safety_mean:
        lost = _points(-figures["safety"].difference)
        failed.append(f"{lost} of the conflicts would be neither pre-selected nor on the first page")
    if figures["f1"].difference < -c.f1_epsilon:
        failed.append(f"F1 of the pre-selection falls by {_points(-figures['f1'].difference)}")
    if worst is not None and worst[1] < -c.cluster_limit:
        failed.append(f"cluster {worst[0]} would lose {_points(-worst[1])} of mAP@100")
    feedback = figures.get("feedback")
    if feedback is not None and not feedback.difference > c.feedback_gain:
        failed.append(
            f"the examiners' selections that were kept aside are not explained better ({_signed(feedback.difference)})"
        )
    if failed:
        return False, f"Rejected on {groups} held-out groups: {'; '.join(failed)}."
    m, s, f = figures["map100"], figures["safety"], figures["f1"]
    gain = "" if feedback is None else f", agreement with examiners {_signed(feedback.difference)}"
    return True, (
        f"Passed on {groups} held-out groups: mAP@100 {_signed(m.difference)} "
        f"({_signed(m.low)} to {_signed(m.high)}), conflicts pre-selected or on the first page "
        f"{_signed(s.difference)}, F1 of the pre-selection {_signed(f.difference)}{gain}."
    )


def _points(share: float) -> str:
    value = f"{100 * share:.2f}"
    return f"{value} point{'' if value == '1.00' else 's'}"


def _signed(share: float) -> str:
    return f"{100 * share + 0.0:+.2f}"
