"""All rows of the leaderboard over one set: rankings, tuned weights, costs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.leaderboard.results import FirstResults
from benchmarks.leaderboard.weights import Query, mean_ap, tune
from search.retrieval.calibration import Calibration
from search.retrieval.description import Description
from search.retrieval.descriptors import DESCRIPTORS, SET_OF
from search.retrieval.first_weights import FirstWeights
from search.retrieval.hashing import HashHead
from search.retrieval.similarity import table_similarities
from search.retrieval.table import MarkTable
from search.retrieval.vector_store import VectorStore
from tuning.evaluation.described import DescribedFiles, Describes
from tuning.evaluation.evaluate import Ranked, rank_described
from tuning.evaluation.metu import MetuLayout
from tuning.evaluation.ranking import Scorer, fused_scorer, single_scorer
from tuning.evaluation.rows import ENCODER, FROZEN_DIM, FUSED, FUSED_EQUAL

__all__ = ["TUNED", "Fused", "code_cost", "costs", "frozen_cost", "limited", "rank_fused", "tune_on"]

TUNED = "fused-tuned"
Done = Callable[[int], None]


def limited(layout: MetuLayout, *, pool: int | None = None, queries: int | None = None) -> MetuLayout:
    """At most so many pool marks, and whole groups of at most so many queries, chosen by a hash of their names."""
    found = layout
    if pool is not None and pool < len(layout.pool_paths):
        kept = set(sorted(layout.pool_paths, key=lambda path: _digest(path.name))[:pool])
        found = replace(found, pool_paths=tuple(path for path in layout.pool_paths if path in kept))
    if queries is not None and queries < len(layout.groups):
        sizes = {group: layout.groups.count(group) for group in set(layout.groups)}
        chosen: set[str] = set()
        room = queries
        for group in sorted(sizes, key=_digest):
            if sizes[group] <= room:
                chosen.add(group)
                room -= sizes[group]
        rows = [i for i, group in enumerate(layout.groups) if group in chosen]
        found = replace(
            found,
            query_paths=tuple(layout.query_paths[i] for i in rows),
            groups=tuple(layout.groups[i] for i in rows),
        )
    return found


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@dataclass(frozen=True)
class Fused:
    """Ranked rows of the describer; weights: fused row -> its weights; first: the first results of the tuned row."""

    ranked: Ranked
    weights: Mapping[str, Mapping[str, float]]
    first: FirstResults


def rank_fused(
    layout: MetuLayout,
    describer: Describes,
    tuned: Sequence[float],
    *,
    names: Sequence[str],
    encoder_is_general: bool,
    heads: Mapping[str, HashHead],
    store: VectorStore | None,
    shown: int,
    done: Done,
) -> Fused:
    """Every descriptor of `names`, weights that are equal, shipped (those that a register starts with) and tuned, and
    the codes of `heads`, in one pass."""
    calibration = Calibration.shipped()
    on = np.array([float(name in names) for name in DESCRIPTORS])
    first_weights = FirstWeights.shipped().of(names)
    shipped = np.array([first_weights.get(name, 0.0) for name in DESCRIPTORS])
    weights = {FUSED_EQUAL: on / on.sum(), FUSED: shipped / shipped.sum(), TUNED: np.asarray(tuned, np.float64)}
    first = FirstResults(fused_scorer(calibration, weights[TUNED]), shown)

    def scorers(queries: Sequence[Description]) -> dict[str, Scorer]:
        made: dict[str, Scorer] = {ENCODER: single_scorer("general")} if encoder_is_general else {}
        made |= {name: single_scorer(name) for name in names}
        made |= {name: fused_scorer(calibration, w) for name, w in weights.items()}
        made[TUNED] = first
        return made

    ranked = rank_described(layout, describer, scorers, heads=heads, store=store, done=done)
    return Fused(ranked, {row: dict(zip(DESCRIPTORS, w.tolist(), strict=True)) for row, w in weights.items()}, first)


def tune_on(
    layout: MetuLayout,
    describer: Describes,
    *,
    names: Sequence[str],
    store: VectorStore | None,
    done: Done,
    tried: Callable[[], None] = lambda: None,
) -> tuple[list[float], dict[str, Any]]:
    """Weights in the order of DESCRIPTORS that are best on the families of a layout, and how they were found."""
    queries, marks = _tuning_queries(layout, describer, store, done)
    axes = [axis for axis, name in enumerate(DESCRIPTORS) if name in names]
    attempts = 0

    def count() -> None:
        nonlocal attempts
        attempts += 1
        tried()

    best, score = tune(queries, axes, tried=count)
    equal = [1 / len(axes) if axis in axes else 0.0 for axis in range(len(DESCRIPTORS))]
    facts = {
        "queries": len(queries),
        "groups": len({g for g in layout.groups if layout.groups.count(g) > 1}),
        "marks": marks,
        "equal": mean_ap(queries, equal),
        "best": score,
        "tried": attempts,
    }
    return best, facts


def _tuning_queries(
    layout: MetuLayout, describer: Describes, store: VectorStore | None, done: Done
) -> tuple[list[Query], int]:
    """Calibrated similarities of every query to every mark, held at once: 4 bytes x queries x marks x descriptors."""
    readable: list[Path] = list(layout.query_paths)
    files = DescribedFiles(describer, store, refused=lambda path, _: readable.remove(path), done=done)
    heads = MarkTable.concatenate(files.chunks(layout.query_paths))
    groups = np.array([g for p, g in zip(layout.query_paths, layout.groups, strict=True) if p in set(readable)])
    descriptions = [heads.description(row) for row in range(len(heads))]
    calibration = Calibration.shipped()
    pool = DescribedFiles(describer, store, refused=lambda *_: None, done=done)
    parts = [calibration.apply(table_similarities(descriptions, heads))]
    parts += [calibration.apply(table_similarities(descriptions, table)) for table in pool.chunks(layout.pool_paths)]
    queries = []
    for row in range(len(heads)):
        relatives = np.flatnonzero(groups == groups[row])
        relatives = relatives[relatives != row]
        if relatives.size:
            queries.append(Query.of(np.concatenate([part[row] for part in parts]), relatives, row))
    return queries, sum(part.shape[1] for part in parts)


def costs(table: MarkTable, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Row -> {"dimension", "bytes_per_mark"} as the index stores it, measured on a table of marks."""
    marks = len(table)
    found: dict[str, dict[str, Any]] = {}
    regions = table.regions.nbytes + table.boxes.nbytes
    for name in names:
        base = SET_OF.get(name, name)
        size = table.vectors[base].nbytes / marks
        dimension = str(table.vectors[base].shape[1])
        if name in SET_OF:
            size += regions / marks
            dimension += f" x {1 + len(table.regions) / marks:.1f}"
        found[name] = {"dimension": dimension, "bytes_per_mark": round(size)}
    bases = [name for name in names if name not in SET_OF]
    total = sum(table.vectors[name].nbytes for name in bases)
    total += regions if any(name in SET_OF for name in names) else 0
    wide = sum(table.vectors[name].shape[1] for name in bases)
    parts = len(table.regions) / marks
    for row in (FUSED, FUSED_EQUAL, TUNED):
        found[row] = {"dimension": f"{wide} + {parts:.1f} parts", "bytes_per_mark": round(total / marks)}
    found[ENCODER] = found["general"]
    return found


def code_cost(head: HashHead) -> dict[str, Any]:
    """A row of codes in the index."""
    return {"dimension": f"{head.bits} bits", "bytes_per_mark": head.bits // 8}


def frozen_cost() -> dict[str, Any]:
    """A frozen row in the index: one float32 vector."""
    return {"dimension": str(FROZEN_DIM), "bytes_per_mark": 4 * FROZEN_DIM}
