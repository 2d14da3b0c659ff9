"""The first results of each query, kept while a pass ranks; and which queries to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tuning.evaluation.metrics import score_query
from tuning.evaluation.ranking import Ranking, Scorer, Similarities

Scores = NDArray[np.float32]


@dataclass
class FirstResults:
    """A scorer that remembers the `count` best marks of every query, itself left out.

    order: (q, count) numbers of the marks in the order in which they were scored, the queries first.
    """

    scorer: Scorer
    count: int
    scores: Scores = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    order: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    _seen: int = 0

    def __call__(self, similarities: Similarities) -> Scores:
        made = self.scorer(similarities)
        scores = np.where(np.isnan(made), -1, made).astype(np.float32)
        numbers = np.broadcast_to(np.arange(self._seen, self._seen + scores.shape[1]), scores.shape)
        if self._seen == 0:
            scores[np.arange(len(scores)), np.arange(len(scores))] = -2  # the first chunk is the queries
            self.scores, self.order = scores[:, :0], numbers[:, :0]
        self._seen += scores.shape[1]
        scores = np.concatenate([self.scores, scores], axis=1)
        numbers = np.concatenate([self.order, numbers], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, : self.count]
        self.scores = np.take_along_axis(scores, best, axis=1)
        self.order = np.take_along_axis(numbers, best, axis=1)
        return made


def query_aps(ranking: Ranking, groups: Sequence[str], marks: int) -> NDArray[np.float64]:
    """(q,) AP@100 with the query excluded; NaN for one that is alone in its group."""
    return np.array(
        [
            score_query(ranking.ranks(i, "excluded"), marks, "excluded").ap if ranking.shifted[i].size else np.nan
            for i in range(len(groups))
        ]
    )


def telling_queries(aps: NDArray[np.float64], groups: Sequence[str], count: int) -> dict[str, list[int]]:
    """ "best", "median", "worst" -> queries, one of each group: of equal ones those with the most relatives."""
    sizes = {group: groups.count(group) for group in set(groups)}
    usable = [i for i in range(len(aps)) if not np.isnan(aps[i])]
    best = sorted(usable, key=lambda i: (-aps[i], -sizes[groups[i]], i))
    worst = sorted(usable, key=lambda i: (aps[i], -sizes[groups[i]], i))
    middle = float(np.median(aps[usable]))
    median = sorted(usable, key=lambda i: (abs(aps[i] - middle), -sizes[groups[i]], i))
    shown: dict[str, list[int]] = {}
    used: set[str] = set()
    for name, ordered in (("best", best), ("median", median), ("worst", worst)):
        shown[name] = []
        for i in ordered:
            if groups[i] not in used and len(shown[name]) < count:
                used.add(groups[i])
                shown[name].append(i)
    return shown
