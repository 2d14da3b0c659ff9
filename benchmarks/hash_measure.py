"""Figures of binary codes: quality and shortlist on a set in METU layout, and the cost of a register of codes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.leaderboard.results import query_aps
from search.retrieval.calibration import Calibration
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.engines.hamming import HammingIndex, faiss
from search.retrieval.first_weights import FirstWeights
from search.retrieval.fusion import fuse
from search.retrieval.hashing import HashHead
from search.retrieval.similarity import table_similarities
from search.retrieval.table import MarkTable
from tuning.evaluation.bootstrap import mean_interval
from tuning.evaluation.evaluate import measure
from tuning.evaluation.hashed import code_similarities, signs
from tuning.evaluation.metrics import score_query, worst_ranks
from tuning.evaluation.ranking import rank_queries

__all__ = ["code_rows", "cost_rows", "fused_top", "seen_by_size", "shortlist"]

LISTED = 100
_BLOCK = 2048


def code_rows(table: MarkTable, groups: Sequence[str], heads: Mapping[str, HashHead]) -> dict[str, dict[str, Any]]:
    """mAP@100 and the rest of each head and of the vectors themselves, ties at their worst rank; queries come first.

    "gain": points of mAP@100 over ITQ with as many bits, and its 95 % interval, paired by query and drawn by groups.
    """
    vectors = table.vectors["general"]
    whole, _ = _figures(vectors[: len(groups)] @ vectors.T, groups)
    found: dict[str, dict[str, Any]] = {"general (float32)": {"bytes": 4 * vectors.shape[1], **whole}}
    aps = {}
    for name, head in heads.items():
        codes = signs(head.values(vectors))
        figures, aps[name] = _figures(code_similarities(codes[: len(groups)], codes), groups)
        found[name] = {"bytes": head.bits // 8, **figures}
    for name, head in heads.items():
        base = aps.get(f"itq-{head.bits}")
        if base is not None and not name.startswith("itq"):
            found[name]["gain"] = _gain(aps[name] - base, groups)
    return found


def _figures(scores: NDArray[np.float32], groups: Sequence[str]) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Figures, and the AP@100 of each query (NaN where it has no relatives)."""
    queries = len(groups)
    blocks = [(0, queries), *((at, at + _BLOCK) for at in range(queries, scores.shape[1], _BLOCK))]
    chunks = (scores[:, a:b, None] for a, b in blocks)
    rankings, marks = rank_queries(groups, chunks, {"row": lambda sims: sims[..., 0]})
    ranking = rankings["row"]
    got = measure(ranking, groups, marks, "excluded")
    figures = {
        "map100": round(100 * got.map100, 1),
        "map100_ci": [round(100 * value, 1) for value in got.map100_ci],
        "nar": round(got.nar, 4),
        "recall100": round(100 * got.recall100, 1),
        "median_rank": got.median_rank,
    }
    return figures, query_aps(ranking, groups, marks)


def _gain(differences: NDArray[np.float64], groups: Sequence[str]) -> list[float]:
    """Points, and the ends of their interval."""
    usable = np.flatnonzero(~np.isnan(differences))
    points = 100 * differences[usable]
    low, high = mean_interval(points, [groups[int(i)] for i in usable])
    return [round(float(value), 2) for value in (points.mean(), low, high)]


def fused_top(
    table: MarkTable, queries: Sequence[int], done: Callable[[int], None] = lambda _: None
) -> list[NDArray[np.int64]]:
    """The exact first hundred of each query by Eq 1 with the shipped calibration and weights, itself left out."""
    calibration = Calibration.shipped()
    weights = np.array(list(FirstWeights.shipped().of(DESCRIPTORS).values()))
    top = []
    for query in queries:
        sims = table_similarities([table.description(query)], table)[0]
        scores = np.nan_to_num(fuse(calibration.apply(sims), weights), nan=-1.0)
        scores[query] = -2.0
        top.append(np.argsort(-scores, kind="stable")[:LISTED])
        done(1)
    return top


def shortlist(
    scores: Callable[[int], NDArray[np.float32]],
    queries: Sequence[int],
    top: Sequence[NDArray[np.int64]],
    groups: Sequence[str],
    sizes: Mapping[str, int],
) -> dict[str, float]:
    """Percent of the exact first hundred, and of the relatives among them, within the nearest so many marks.

    scores: query row -> similarities (n,) to all marks by the first stage; a mark level with the last one taken counts
    only if all that are level fit, so ties help nobody. sizes: name -> marks taken. groups: of the first rows.
    """
    labels = np.asarray(groups)
    kept: dict[str, list[float]] = {name: [] for name in sizes}
    relatives: dict[str, list[float]] = {name: [] for name in sizes}
    for query, best in zip(queries, top, strict=True):
        own = np.array(scores(query), dtype=np.float32)
        own[query] = -np.inf
        mine = best[(best < len(labels))]
        mine = mine[labels[mine] == labels[query]]
        ranks, of_relatives = worst_ranks(own, own[best]), worst_ranks(own, own[mine]) if len(mine) else None
        for name, count in sizes.items():
            kept[name].append(float((ranks <= count).mean()))
            if of_relatives is not None:
                relatives[name].append(float((of_relatives <= count).mean()))
    return {
        **{f"top100 in {name}": round(100 * float(np.mean(values)), 1) for name, values in kept.items()},
        **{f"relatives in {name}": round(100 * float(np.mean(values)), 1) for name, values in relatives.items()},
    }


def cost_rows(count: int, bits: Sequence[int], *, repeats: int = 15) -> list[dict[str, Any]]:
    """Bytes and milliseconds of one core (time the processor spent, not the clock) for a query against `count` random
    codes, the nearest 1 % wanted; an exact scan and inverted lists."""
    rng = np.random.default_rng(0)
    faiss.omp_set_num_threads(1)
    rows = []
    for size in bits:
        codes = rng.integers(0, 256, (count, size // 8), dtype=np.uint8)
        for kind, lists in (("flat", 0), ("inverted lists", 1024)):
            index = HammingIndex.build(codes, lists=lists)
            spent = []
            for query in codes[:repeats]:
                start = time.process_time()
                index.search(query, count // 100)
                spent.append(1000 * (time.process_time() - start))
            row = {"bits": size, "index": kind, "mebibytes": round(codes.nbytes / 2**20, 1)}
            rows.append(row | {"ms": round(float(np.median(spent)), 1)})
    return rows


def seen_by_size(
    values: NDArray[np.float32], families: NDArray[np.int64], *, queries: int = 900, seed: int = 0
) -> dict[str, dict[str, float]]:
    """mAP@100 of marks that were learnt from, by the size of their family: the closed set of the thesis.

    values: (m, K); families: (m,). As many queries for each size, drawn once; the query is left out of its own list.
    """
    codes = signs(values)
    sizes = np.bincount(families)[families]
    found = {}
    for name, low, high in (("2", 2, 2), ("3", 3, 3), ("4 and more", 4, 10**6)):
        rows = np.flatnonzero((sizes >= low) & (sizes <= high))
        some = np.random.default_rng(seed).permutation(rows)[: queries // 3]
        aps = []
        for row in some:
            own = code_similarities(codes[row : row + 1], codes)[0]
            own[row] = -1.0
            relatives = np.flatnonzero(families == families[row])
            relatives = relatives[relatives != row]
            aps.append(score_query(worst_ranks(own, own[relatives]), len(own), "excluded").ap)
        low_ci, high_ci = mean_interval(aps, [int(families[row]) for row in some], resamples=500)
        found[name] = {
            "map100": round(100 * float(np.mean(aps)), 1),
            "low": round(100 * low_ci, 1),
            "high": round(100 * high_ci, 1),
        }
    return found
