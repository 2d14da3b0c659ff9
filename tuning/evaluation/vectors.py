"""Figures of bare vectors, for the progress of a training run and for choices. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from search.retrieval.imaging import decode_picture
from search.retrieval.normalise import normalise, resized
from tuning.evaluation.metrics import score_query, worst_ranks
from tuning.evaluation.metu import load

__all__ = ["grey_pictures", "matrix_figures", "vector_figures"]


def grey_pictures(folder: Path, pool: int, side: int) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Normalised grey pictures uint8 (n, side, side) of queries and the first `pool` pool marks; the queries' groups.

    folder: holds queries/ and pool/ in METU layout. Raises LayoutError, ImageRefused.
    """
    layout = load(folder / "queries", folder / "pool")
    paths = [*layout.query_paths, *layout.pool_paths[:pool]]
    grey = [resized(normalise(decode_picture(p.read_bytes())).grey, side)[:, :, 0] for p in tqdm(paths, desc="val")]
    return np.stack(grey), layout.groups


def vector_figures(vectors: NDArray[np.float32], groups: Sequence[str] | NDArray[np.generic]) -> dict[str, float]:
    """mAP@100 (%), NAR, recall@100 (%), median rank by cosine; the query is left out of its own list.

    vectors: (n, d) unit rows, the q queries first. groups: (q,) labels.
    """
    return matrix_figures(vectors[: len(groups)] @ vectors.T, groups)


def matrix_figures(scores: NDArray[np.float32], groups: Sequence[str] | NDArray[np.generic]) -> dict[str, float]:
    """The same from scores (q, n), the queries being the first columns; NaN ranks last."""
    labels = np.asarray(groups)
    found = []
    for row, own in enumerate(np.nan_to_num(scores, nan=-1.0)):
        relatives = np.flatnonzero(labels == labels[row])
        relatives = relatives[relatives != row]
        if len(relatives):
            found.append(score_query(worst_ranks(np.delete(own, row), own[relatives]), len(own), "excluded"))
    return {
        "map100": round(100 * float(np.mean([f.ap for f in found])), 2),
        "nar": round(float(np.mean([f.nar for f in found])), 4),
        "recall100": round(100 * float(np.mean([f.recall for f in found])), 2),
        "median_rank": float(np.median(np.concatenate([f.ranks for f in found]))),
    }
