"""Codes without learning from labels: iterative quantisation and its plain relatives.

Gong & Lazebnik, "Iterative quantization" (CVPR 2011): PCA to K numbers, then the rotation that brings them nearest to
their signs. FAISS does the work; what comes out is a linear HashHead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from search.retrieval.hashing.head import HashHead
from search.retrieval.pooling import unit

__all__ = ["fit_itq", "fit_lsh", "linear_head"]

faiss: Any = _faiss  # its stubs describe the C++ classes, not the Python calls


def linear_head(
    name: str, mean: NDArray[np.floating], matrix: NDArray[np.floating], made_for: Mapping[str, str]
) -> HashHead:
    """y = matrix (x - mean). mean: (d,); matrix: (K, d)."""
    bits, dim = matrix.shape
    parts = {
        "mean": mean, "skip_weight": matrix, "bias": np.zeros(bits), "inner_weight": np.zeros((0, dim)),
        "inner_bias": np.zeros(0), "outer_weight": np.zeros((bits, 0)),
    }  # fmt: skip
    return HashHead(name, parts, made_for)


def fit_itq(vectors: NDArray[np.floating], bits: int, made_for: Mapping[str, str]) -> HashHead:
    """ITQ on unit rows (n, d), bits <= d. Raises ValueError for fewer rows than bits.

    FAISS also scales each centred row to unit length, which changes no sign.
    """
    x = unit(vectors)
    if len(x) <= bits or bits > x.shape[1]:
        raise ValueError(f"{len(x)} vectors of {x.shape[1]} numbers are too few for {bits} bits.")
    transform = faiss.ITQTransform(x.shape[1], bits, True)
    transform.train(x)
    linear = transform.pca_then_itq
    matrix = faiss.vector_to_array(linear.A).reshape(linear.d_out, linear.d_in)
    return linear_head(f"itq-{bits}", faiss.vector_to_array(transform.mean), matrix, made_for)


def fit_lsh(vectors: NDArray[np.floating], bits: int, made_for: Mapping[str, str]) -> HashHead:
    """Random rotation and thresholds at the median, as FAISS's IndexLSH makes them: the baseline that learns nothing.

    bits <= d. The rotation's seed is FAISS's own, so it is the same each time.
    """
    x = unit(vectors)
    index = faiss.IndexLSH(x.shape[1], bits, True, True)
    index.train(x)
    matrix = faiss.vector_to_array(index.rrot.A).reshape(index.rrot.d_out, index.rrot.d_in)[:bits]
    thresholds = faiss.vector_to_array(index.thresholds)[:bits]
    head = linear_head(f"lsh-{bits}", np.zeros(x.shape[1]), matrix, made_for)
    return HashHead(head.name, {**head.parts, "bias": -thresholds}, made_for)
