"""FAISS: an exact scan for small registers, inverted lists for large ones, the GPU where there is one."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from search.retrieval.engines import Mask, Vectors

faiss: Any = _faiss  # its stubs describe the C++ classes, not the Python calls

_PROBED_SHARE = 1 / 16
_PROBED_LEAST = 16
"""Inverted lists an unfiltered search visits: a share of them, and never fewer than this."""
_TRAIN_PER_LIST = 40
_GPU_MOST = 2048
"""Longest list FAISS gives on a GPU."""
_ONE_THREAD = 50_000_000
"""Multiplications below which a scan stays on one thread: on a busy machine waking others takes longer."""


class FaissIndex:
    """A FAISS inner-product index; see the `VectorIndex` contract."""

    def __init__(self, index: Any, *, gpu: bool = False) -> None:
        self._index = index
        self._lists = int(getattr(index, "nlist", 0))
        # FAISS on the GPU takes no row selector: filtered searches stay on the CPU copy.
        self._gpu = _gpu_copy(index) if gpu else None

    @classmethod
    def build(cls, vectors: Vectors, *, lists: int | None = 0, gpu: bool = False) -> FaissIndex:
        """lists: inverted lists; 0 = exact scan, None = 4 sqrt(n). Rows are float32 (n, d)."""
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        count = max(1, int(4 * math.sqrt(len(rows)))) if lists is None else lists
        key = f"IVF{count},Flat" if count else "Flat"
        index = faiss.index_factory(rows.shape[1], key, faiss.METRIC_INNER_PRODUCT)
        if count:
            faiss.downcast_index(index).cp.seed = 1  # the same rows give the same lists
            step = max(1, len(rows) // (count * _TRAIN_PER_LIST))
            index.train(np.ascontiguousarray(rows[::step]))
        index.add(rows)
        return cls(index, gpu=gpu)

    @property
    def count(self) -> int:
        return int(self._index.ntotal)

    def search(self, queries: Vectors, k: int, *, allowed: Mask | None = None) -> tuple[Vectors, NDArray[np.int64]]:
        q = np.ascontiguousarray(np.atleast_2d(queries), dtype=np.float32)
        share = 1.0 if allowed is None else float(allowed.sum()) / max(self.count, 1)
        k = min(k, self.count if allowed is None else int(allowed.sum()))
        if k == 0:
            return np.zeros((len(q), 0), np.float32), np.zeros((len(q), 0), np.int64)
        if allowed is None and self._gpu is not None and k <= _GPU_MOST:
            scores, ids = self._gpu.search(q, k)
        else:
            # The selector only points at the bits: both must live until the search is over.
            bits = None if allowed is None else np.packbits(allowed, bitorder="little")
            selector = None if bits is None else faiss.IDSelectorBitmap(bits)
            small = len(q) * self.count * share * q.shape[1] < _ONE_THREAD
            faiss.omp_set_num_threads(1 if small else os.cpu_count() or 1)
            scores, ids = self._index.search(q, k, params=self._parameters(selector, share, k))
        scores = np.where(ids < 0, -np.inf, scores).astype(np.float32)
        return scores, np.asarray(ids, dtype=np.int64)

    def _parameters(self, selector: Any, share: float, k: int) -> Any:
        if not self._lists:
            return faiss.SearchParameters(sel=selector) if selector is not None else None
        # The rarer the filter, the more lists: enough for the list to be filled several times over.
        filling = 4 * k / max(share * self.count / self._lists, 1e-9)
        probes = max(_PROBED_LEAST, self._lists * _PROBED_SHARE, filling)
        probes = self._lists if share < 2 * _PROBED_SHARE else min(self._lists, math.ceil(probes))
        options: dict[str, Any] = {"nprobe": int(probes)}
        if selector is not None:
            options["sel"] = selector
        return faiss.SearchParametersIVF(**options)

    def save(self, path: Path) -> None:
        faiss.write_index(self._index, str(path))

    @classmethod
    def load(cls, path: Path, *, gpu: bool = False) -> FaissIndex:
        return cls(faiss.read_index(str(path)), gpu=gpu)


def _gpu_copy(index: Any) -> Any:
    """A copy on GPU 0; None where this build of FAISS has no GPU, or none is present."""
    if not hasattr(faiss, "StandardGpuResources") or faiss.get_num_gpus() == 0:
        return None
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
