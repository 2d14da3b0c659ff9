"""Evaluate descriptors on queries and pool: describe, compare in chunks, rank, measure. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search.retrieval.calibration import Calibration
from search.retrieval.description import Description
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.first_weights import FirstWeights
from search.retrieval.similarity import table_similarities
from search.retrieval.table import MarkTable
from search.retrieval.vector_store import VectorStore
from tuning.evaluation.bootstrap import mean_interval, median_interval
from tuning.evaluation.described import DescribedFiles, Describes
from tuning.evaluation.metrics import VARIANTS, Variant, score_query
from tuning.evaluation.metu import LayoutError, MetuLayout
from tuning.evaluation.ranking import Ranking, Scorer, fused_scorer, rank_queries, single_scorer

__all__ = ["FUSED", "Evaluation", "Measures", "evaluate", "measure"]

FUSED = "fused"
WeightsFor = Callable[[Sequence[Description]], ArrayLike]
"""Descriptions of the queries -> (q, n) weights in the order of DESCRIPTORS, or (n,) for all."""


@dataclass(frozen=True)
class Measures:
    """Means over the queries that have relevant marks, with 95 % bootstrap intervals over groups.

    median_rank: over all pairs of query and relevant mark. by_type: content type -> (queries, mAP@100).
    """

    map100: float
    map100_ci: tuple[float, float]
    nar: float
    nar_ci: tuple[float, float]
    median_rank: float
    median_rank_ci: tuple[float, float]
    recall100: float
    recall100_ci: tuple[float, float]
    queries: int
    by_type: Mapping[str, tuple[int, float]]


@dataclass(frozen=True)
class Evaluation:
    """marks: N with the queries. results: descriptor -> variant -> measures. refused: pool images skipped."""

    marks: int
    queries: int
    groups: int
    results: Mapping[str, Mapping[Variant, Measures]]
    refused: int = 0


def evaluate(
    layout: MetuLayout,
    describer: Describes,
    *,
    descriptors: Sequence[str] = (FUSED,),
    variants: Sequence[Variant] = VARIANTS,
    weights_for: WeightsFor | None = None,
    calibration: Calibration | None = None,
    only_groups: frozenset[str] | None = None,
    store: VectorStore | None = None,
    done: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Measure each descriptor, and the fused score, in one pass over the pool.

    weights_for: None = the shipped first weights. calibration: None = the shipped one. only_groups: measure the queries
    of these groups; all queries stay marks. Memory holds the queries and one chunk of the pool.
    Raises LayoutError for an unreadable query, unknown descriptors, or no query with relevant marks.
    """
    unknown = [name for name in descriptors if name != FUSED and name not in DESCRIPTORS]
    if unknown or not descriptors:
        known = ", ".join((FUSED, *DESCRIPTORS))
        raise LayoutError(f"There is no descriptor {', '.join(unknown) or 'named'}; known are {known}.")
    wanted = [only_groups is None or g in only_groups for g in layout.groups]
    sizes = {g: layout.groups.count(g) for g in set(layout.groups)}
    if not any(w and sizes[g] > 1 for w, g in zip(wanted, layout.groups, strict=True)):
        raise LayoutError("No query has a relevant mark: every group asked for has only one member.")

    refused: list[Path] = []
    queries = _queries(layout, describer, store, done)
    descriptions = [queries.description(row) for row in range(len(queries))]
    scorers: dict[str, Scorer] = {name: single_scorer(name) for name in descriptors if name != FUSED}
    if FUSED in descriptors:
        first = list(FirstWeights.shipped().of(DESCRIPTORS).values())
        weights = np.array(first) if weights_for is None else weights_for(descriptions)
        scorers[FUSED] = fused_scorer(calibration or Calibration.shipped(), weights)
    pool = DescribedFiles(describer, store, refused=lambda path, _: refused.append(path), done=done)
    tables = _first(queries, pool.chunks(layout.pool_paths))
    rankings, marks = rank_queries(
        layout.groups, (table_similarities(descriptions, table) for table in tables), scorers
    )
    types = [layout.query_type(i) for i in range(len(layout.groups))]
    results = {
        name: {v: measure(rankings[name], layout.groups, marks, v, wanted=wanted, types=types) for v in variants}
        for name in descriptors
    }
    chosen = [g for g, w in zip(layout.groups, wanted, strict=True) if w]
    return Evaluation(marks, len(chosen), len(set(chosen)), results, len(refused))


def measure(
    ranking: Ranking,
    groups: Sequence[str],
    marks: int,
    variant: Variant,
    *,
    wanted: Sequence[bool] | None = None,
    types: Sequence[str | None] | None = None,
) -> Measures:
    """Measures of one ranking; a query that is alone in its group has nothing to find and is left out."""
    found = [
        (i, score_query(ranks, marks, variant))
        for i in range(len(groups))
        if (wanted is None or wanted[i]) and ranking.shifted[i].size
        for ranks in [ranking.ranks(i, variant)]
    ]
    labels = [groups[i] for i, _ in found]
    ap = np.array([s.ap for _, s in found])
    nar = np.array([s.nar for _, s in found])
    recall = np.array([s.recall for _, s in found])
    ranks = np.concatenate([s.ranks for _, s in found])
    rank_labels = [groups[i] for i, s in found for _ in s.ranks]
    return Measures(
        map100=float(ap.mean()),
        map100_ci=mean_interval(ap, labels),
        nar=float(nar.mean()),
        nar_ci=mean_interval(nar, labels),
        median_rank=float(np.median(ranks)),
        median_rank_ci=median_interval(ranks, rank_labels),
        recall100=float(recall.mean()),
        recall100_ci=mean_interval(recall, labels),
        queries=len(found),
        by_type=_by_type(ap, [types[i] if types else None for i, _ in found]),
    )


def _by_type(ap: NDArray[np.float64], types: Sequence[str | None]) -> dict[str, tuple[int, float]]:
    known = sorted({t for t in types if t})
    rows = {t: [i for i, other in enumerate(types) if other == t] for t in known}
    return {t: (len(index), float(ap[index].mean())) for t, index in rows.items()}


def _queries(
    layout: MetuLayout, describer: Describes, store: VectorStore | None, done: Callable[[int], None]
) -> MarkTable:
    """All queries as one table; one that cannot be read would silently change the test, so it is an error."""

    def refuse(path: Path, sentence: str) -> None:
        raise LayoutError(f"The query {path.name} cannot be used: {sentence}")

    files = DescribedFiles(describer, store, refused=refuse, done=done)
    return MarkTable.concatenate(files.chunks(layout.query_paths))


def _first(head: MarkTable, rest: Iterable[MarkTable]) -> Iterator[MarkTable]:
    yield head
    yield from rest
