"""Nearest codes by Hamming distance: FAISS's binary indexes behind the shape of the other engines."""

from __future__ import annotations

import math
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from search.retrieval.engines import Mask

faiss: Any = _faiss  # its stubs describe the C++ classes, not the Python calls

Codes = NDArray[np.uint8]
FLAT_LIMIT = 5_000_000
"""Codes up to which every one is compared: five million of 64 bits take a core about ten milliseconds."""
_PROBED_SHARE = 1 / 8
_TRAIN_PER_LIST = 40
_ONE_THREAD = 100_000_000
"""Bytes of codes below which a scan stays on one thread: a second one that waits for a busy core costs more than the
whole scan (1.5 ms for a million codes)."""


class HammingIndex:
    """Packed codes (n, bytes). Row numbers are the ids; distances are whole bits, smallest first."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self._lists = int(getattr(index, "nlist", 0))
        if not self._lists:
            # Thousands are wanted: counting them out by distance takes a third of the time of a heap.
            index.use_heap = False

    @classmethod
    def build(cls, codes: Codes, *, lists: int | None = 0) -> HammingIndex:
        """lists: inverted lists; 0 = an exact scan, None = 4 sqrt(n)."""
        rows = np.ascontiguousarray(codes, dtype=np.uint8)
        bits = 8 * rows.shape[1]
        count = max(1, int(4 * math.sqrt(len(rows)))) if lists is None else lists
        if not count:
            index = faiss.IndexBinaryFlat(bits)
        else:
            index = faiss.index_binary_factory(bits, f"BIVF{count}")
            index.cp.seed = 1  # the same codes give the same lists
            step = max(1, len(rows) // (count * _TRAIN_PER_LIST))
            index.train(np.ascontiguousarray(rows[::step]))
        index.add(rows)
        return cls(index)

    @property
    def count(self) -> int:
        return int(self._index.ntotal)

    @property
    def bits(self) -> int:
        return int(self._index.d)

    def search(
        self, queries: Codes, k: int, *, allowed: Mask | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The k nearest codes per query: distances (q, k') and ids (q, k'), k' = min(k, allowed rows).

        allowed: (n,) rows that may be found, None = all. Where an inverted list ran out the id is -1. Which of several
        codes at the last distance are taken is not defined.
        """
        q = np.ascontiguousarray(np.atleast_2d(queries), dtype=np.uint8)
        rows = None if allowed is None else np.flatnonzero(allowed)
        k = min(k, self.count if rows is None else len(rows))
        if k == 0:
            return np.zeros((len(q), 0), np.int32), np.zeros((len(q), 0), np.int64)
        small = len(q) * self.count * q.shape[1] < _ONE_THREAD
        faiss.omp_set_num_threads(1 if small else os.cpu_count() or 1)
        if rows is None:
            if self._lists:
                self._index.nprobe = max(1, math.ceil(self._lists * _PROBED_SHARE))
            distances, ids = self._index.search(q, k)
        elif self._lists:
            # Inverted lists of codes take no selector: the rows that pass are compared one by one.
            some = faiss.IndexBinaryFlat(self.bits)
            some.add(np.ascontiguousarray(self._codes[rows]))
            distances, places = some.search(q, k)
            ids = rows[places]
        else:
            # The selector only points at the bits: both must live until the search is over.
            bits = np.packbits(np.asarray(allowed), bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
            distances, ids = self._index.search(q, k, params=faiss.SearchParameters(sel=selector))
        return np.asarray(distances, dtype=np.int32), np.asarray(ids, dtype=np.int64)

    @cached_property
    def _codes(self) -> Codes:
        """All codes in the order of their rows."""
        return np.asarray(self._index.reconstruct_n(0, self.count), dtype=np.uint8)

    def save(self, path: Path) -> None:
        faiss.write_index_binary(self._index, str(path))

    @classmethod
    def load(cls, path: Path) -> HammingIndex:
        return cls(faiss.read_index_binary(str(path)))


def build_hamming(codes: Codes, *, flat_limit: int = FLAT_LIMIT) -> HammingIndex:
    """The index that fits the size: an exact scan, or inverted lists beyond `flat_limit` codes."""
    return HammingIndex.build(codes, lists=0 if len(codes) <= flat_limit else None)
