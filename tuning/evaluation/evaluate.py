"""Evaluate descriptors on queries and pool: describe, compare in chunks, rank, measure. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search.retrieval.calibration import Calibration
from search.retrieval.description import Description
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.first_weights import FirstWeights
from search.retrieval.hashing import HASHES, HashHead, load_head
from search.retrieval.similarity import table_similarities
from search.retrieval.table import MarkTable
from search.retrieval.vector_store import VectorStore
from tuning.evaluation.bootstrap import mean_interval, median_interval
from tuning.evaluation.described import DescribedFiles, Describes
from tuning.evaluation.hashed import CodedQueries
from tuning.evaluation.metrics import VARIANTS, Variant, score_query
from tuning.evaluation.metu import LayoutError, MetuLayout
from tuning.evaluation.ranking import Ranking, Scorer, fused_scorer, rank_queries, single_scorer
from tuning.evaluation.rows import (
    ENCODER,
    FROZEN,
    FUSED,
    FUSED_EQUAL,
    TRANSDUCTIVE,
    Source,
    check,
    source_key,
    source_of,
    uses_describer,
)
from tuning.evaluation.whole import WholeMarks, cosine_chunks

__all__ = [
    "DESCRIBED",
    "Evaluation",
    "Measures",
    "Ranked",
    "evaluate",
    "measure",
    "passes",
    "rank_described",
    "rank_whole",
]

DESCRIBED = "described"
"""Key of the describer's pass."""
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
    """marks: N with the queries. results: row -> variant -> measures. refused: pool images skipped.

    notes: sentences that a reader of the figures must know.
    """

    marks: int
    queries: int
    groups: int
    results: Mapping[str, Mapping[Variant, Measures]]
    refused: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ranked:
    """Rankings of some rows over the same marks. refused: pool images that could not be read."""

    rankings: Mapping[str, Ranking]
    marks: int
    refused: frozenset[Path]


def evaluate(
    layout: MetuLayout,
    describer: Describes | None,
    *,
    descriptors: Sequence[str] = (FUSED,),
    variants: Sequence[Variant] = VARIANTS,
    weights_for: WeightsFor | None = None,
    calibration: Calibration | None = None,
    only_groups: frozenset[str] | None = None,
    store: VectorStore | None = None,
    vectors: Path | None = None,
    sources: Callable[[str], Source] = source_of,
    encoder_is_general: bool = False,
    heads: Callable[[str], HashHead] = load_head,
    done: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Measure each row (see rows.py): descriptors and fused scores in one pass over the pool, others in their own.

    describer: None where no row needs it. weights_for: None = those of a new register. calibration: None = the
    shipped one. only_groups: measure the queries of these groups; all queries stay marks. vectors: where the rows of
    their own keep what they computed; None = nowhere. encoder_is_general: the describer's `general` is the row
    `encoder`, which then costs no pass of its own. heads: where binary codes come from. Memory holds the queries and
    one chunk of the pool, and for the rows of their own one vector for each mark. Raises LayoutError for an unreadable
    query, unknown descriptors, or no query with relevant marks; WeightsUnusable.
    """
    check(descriptors)
    wanted = [only_groups is None or g in only_groups for g in layout.groups]
    sizes = {g: layout.groups.count(g) for g in set(layout.groups)}
    if not any(w and sizes[g] > 1 for w, g in zip(wanted, layout.groups, strict=True)):
        raise LayoutError("No query has a relevant mark: every group asked for has only one member.")

    plan = passes(descriptors, encoder_is_general=encoder_is_general)
    found: list[Ranked] = []
    for key, names in plan.items():
        if key == DESCRIBED:
            if describer is None:
                raise ValueError(f"{names[0]} needs a describer.")

            def scorers(queries: Sequence[Description], names: Sequence[str] = names) -> dict[str, Scorer]:
                return {name: _scorer(name, queries, calibration, weights_for) for name in names if name not in HASHES}

            codes = {name: heads(name) for name in names if name in HASHES}
            found.append(rank_described(layout, describer, scorers, heads=codes, store=store, done=done))
        else:
            found.append(rank_whole(layout, sources(names[0]), names, root=vectors, done=done))
    rankings = {name: ranking for ranked in found for name, ranking in ranked.rankings.items()}
    marks = found[0].marks
    types = [layout.query_type(i) for i in range(len(layout.groups))]
    results = {
        name: {v: measure(rankings[name], layout.groups, marks, v, wanted=wanted, types=types) for v in variants}
        for name in descriptors
    }
    chosen = [g for g, w in zip(layout.groups, wanted, strict=True) if w]
    notes = (TRANSDUCTIVE,) if any(name in FROZEN for name in descriptors) else ()
    return Evaluation(marks, len(chosen), len(set(chosen)), results, len(found[0].refused), notes)


def passes(names: Sequence[str], *, encoder_is_general: bool = False) -> dict[str, list[str]]:
    """The passes over the images that these rows cost: key -> its rows; DESCRIBED is that of the describer."""
    described = [name for name in names if uses_describer(name)]
    if described and encoder_is_general and ENCODER in names:
        described.append(ENCODER)
    plan: dict[str, list[str]] = {DESCRIBED: described} if described else {}
    for name in names:
        if name not in described:
            plan.setdefault(source_key(name), []).append(name)
    return plan


def rank_described(
    layout: MetuLayout,
    describer: Describes,
    scorers: Callable[[Sequence[Description]], Mapping[str, Scorer]],
    *,
    heads: Mapping[str, HashHead] = MappingProxyType({}),
    store: VectorStore | None,
    done: Callable[[int], None] = lambda _: None,
) -> Ranked:
    """Rank by scorers of raw similarities, made once the queries are described, and by the codes of some heads."""
    refused: list[Path] = []
    queries = _queries(layout, describer, store, done)
    descriptions = [queries.description(row) for row in range(len(queries))]
    pool = DescribedFiles(describer, store, refused=lambda path, _: refused.append(path), done=done)
    tables = _first(queries, pool.chunks(layout.pool_paths))
    coded = CodedQueries(heads, queries)
    similarities = (coded.beside(table_similarities(descriptions, table), table) for table in tables)
    rankings, marks = rank_queries(layout.groups, similarities, coded.scorers(scorers(descriptions)))
    return Ranked(rankings, marks, frozenset(refused))


def rank_whole(
    layout: MetuLayout,
    source: Source,
    names: Sequence[str],
    *,
    root: Path | None,
    done: Callable[[int], None] = lambda _: None,
) -> Ranked:
    """Rank rows of one source by the cosine of their vectors."""
    refused: list[Path] = []
    files = WholeMarks(source, root, done=done)
    queries = files.digests(layout.query_paths, _refuse_query)
    pool = files.digests(layout.pool_paths, lambda path, _: refused.append(path))
    rankings: dict[str, Ranking] = {}
    for name in names:
        chunks = cosine_chunks(files.matrix(name, [*queries, *pool], pool or queries), len(queries))
        found, _ = rank_queries(layout.groups, chunks, {name: lambda sims: sims[..., 0]})
        rankings |= found
    return Ranked(rankings, len(queries) + len(pool), frozenset(refused))


def _scorer(
    name: str,
    queries: Sequence[Description],
    calibration: Calibration | None,
    weights_for: WeightsFor | None,
) -> Scorer:
    if name not in (FUSED, FUSED_EQUAL):
        return single_scorer("general" if name == ENCODER else name)
    if name == FUSED_EQUAL:
        weights: ArrayLike = np.full(len(DESCRIPTORS), 1.0 / len(DESCRIPTORS))
    elif weights_for is None:
        weights = list(FirstWeights.shipped().of(DESCRIPTORS).values())
    else:
        weights = weights_for(queries)
    return fused_scorer(calibration or Calibration.shipped(), weights)


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
    """All queries as one table."""
    files = DescribedFiles(describer, store, refused=_refuse_query, done=done)
    return MarkTable.concatenate(files.chunks(layout.query_paths))


def _refuse_query(path: Path, sentence: str) -> None:
    """A query that cannot be read would silently change the test, so it is an error."""
    raise LayoutError(f"The query {path.name} cannot be used: {sentence}")


def _first(head: MarkTable, rest: Iterable[MarkTable]) -> Iterator[MarkTable]:
    yield head
    yield from rest
