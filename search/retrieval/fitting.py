"""Fitting what goes with an encoder: the whitenings of its views, and the pairs that a calibration is fitted on.

Used where weights are made: for the ones that ship (benchmarks/fit_descriptors.py) and for an office's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search.retrieval.describe import VIEWS
from search.retrieval.encoders import Encoder
from search.retrieval.fusion import fuse
from search.retrieval.normalise import Normalised
from search.retrieval.whitening import Whitening

__all__ = ["CENTRED", "DIM", "LISTED", "POWER", "fit_whitenings", "listed_pairs", "whitened_dim"]

DIM = 256
"""Numbers that a whitening keeps."""
POWER, CENTRED = 0.0, False
"""How far the directions of a trained encoder are evened out (Whitening.fit): not at all. Measured on `val` families
among 5,000 other marks: mAP@100 71.1 as they are, 70.9 with power 0.25, 69.1 whitened; NAR .040, .045, .063."""
LISTED = 100
"""A calibration pair is a relative, or a stranger among the first hundred: what an examiner is shown."""
_ROWS_PER_DIRECTION = 4
_BATCH = 16


def whitened_dim(rows: int, width: int) -> int:
    """Directions that so many vectors of so many numbers can bear: with few marks the weak ones would be noise."""
    return min(DIM, width, rows // _ROWS_PER_DIRECTION)


def fit_whitenings(encoder: Encoder, marks: Iterable[Normalised]) -> dict[str, Whitening]:
    """View -> its whitening, on marks that are no test marks. Raises ValueError when there are too few to fit any."""
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name, _, _ in VIEWS}
    remaining = iter(marks)
    while batch := list(islice(remaining, _BATCH)):
        for name, view, side in VIEWS:
            seen = [made for mark in batch if (made := view(mark, side)) is not None]
            if seen:
                rows[name].append(encoder.encode(np.stack(seen)))
    found = {}
    for name, parts in rows.items():
        vectors = np.concatenate(parts) if parts else np.zeros((0, encoder.dim), np.float32)
        dim = whitened_dim(*vectors.shape)
        if dim < 1:
            raise ValueError(f"{len(vectors)} marks are too few to fit the whitening of {name}.")
        found[name] = Whitening.fit(vectors, dim, power=POWER, centred=CENTRED)
    return found


def listed_pairs(
    sims: NDArray[np.float32], groups: Sequence[str] | NDArray[np.generic], weights: ArrayLike
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Pairs to calibrate on: all relatives, and the strangers among the first LISTED with these weights.

    sims: raw (q, n, descriptors), the queries being the first marks; groups: (q,). Returns (p, descriptors) and
    whether they are relatives, (p,).
    """
    labels = np.asarray(groups)
    mean = fuse(sims, weights)
    kept, same = [], []
    for row in range(len(labels)):
        relative = np.zeros(sims.shape[1], bool)
        relative[: len(labels)] = labels == labels[row]
        listed = np.zeros(sims.shape[1], bool)
        listed[np.argsort(-mean[row])[:LISTED]] = True
        use = listed | relative
        use[row] = False
        kept.append(sims[row, use])
        same.append(relative[use])
    return np.concatenate(kept), np.concatenate(same)
