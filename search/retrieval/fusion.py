"""DarwinGSE Eq 1: the fused similarity of two marks as a weighted sum of per-descriptor similarities."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def fuse(sims: ArrayLike, weights: ArrayLike) -> NDArray[np.float32]:
    """Sim(A, B) = sum_n W_n * max(0, s_n), over the descriptors both marks have (science 1.2).

    sims: (..., n) similarities; NaN marks a descriptor that one of the two marks lacks.
    weights: (n,) or broadcastable to sims, >= 0. A missing descriptor is dropped and the remaining W
    renormalised to the same sum, so a mark without edges is not punished for it.
    Returns float32 (...); NaN where no weighed descriptor is present at all.
    Raises ValueError for negative weights or shapes that do not fit.
    """
    s = np.asarray(sims, dtype=np.float64)
    w = np.asarray(weights, dtype=np.float64)
    if w.shape[-1:] != s.shape[-1:]:
        raise ValueError(f"{w.shape[-1:]} weights do not fit similarities of shape {s.shape}.")
    if np.any(w < 0) or not np.all(np.isfinite(w)):
        raise ValueError("Weights are finite numbers of at least 0.")
    present = ~np.isnan(s)
    clipped = np.where(present, np.maximum(s, 0.0), 0.0)
    used = np.sum(np.where(present, w, 0.0), axis=-1)
    total = np.sum(np.broadcast_to(w, s.shape), axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        fused = np.sum(clipped * w, axis=-1) * total / used
    return np.asarray(np.where(used > 0, fused, np.nan), dtype=np.float32)
