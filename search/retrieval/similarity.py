"""Raw per-descriptor similarities of marks: cosines, and the best set-to-set match for parts.

`objects` is the maximum over {whole} and parts of the one mark against {whole} and parts of the other
(design section 1): measured on held-out families it gains where the mean of the parts does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from search.retrieval.description import Description
from search.retrieval.descriptors import DESCRIPTORS, SET_OF
from search.retrieval.records import Box
from search.retrieval.table import MarkTable

Similarities = NDArray[np.float32]
_HALF_PRECISION = 0.002
"""Parts are stored as float16, so cosines this close are equal."""
TOGETHER = 8
"""Queries whose products with all their marks are best in memory at once."""


def similarity_matrix(queries: Sequence[Description], marks: Sequence[Description]) -> Similarities:
    """Raw cosines float32 (q, m, n) in the order of DESCRIPTORS; NaN where a mark lacks the descriptor."""
    if not marks:
        return np.zeros((len(queries), 0, len(DESCRIPTORS)), np.float32)
    table = MarkTable.of([""] * len(marks), marks)
    return table_similarities(queries, table)


def named_table(rows: Iterable[Mapping[str, float | None]], names: Sequence[str]) -> NDArray[np.float64]:
    """Similarities kept by name, one mapping a mark -> (m, n) in the order of names; NaN where missing."""
    found = [[np.nan if (value := row.get(name)) is None else value for name in names] for row in rows]
    return np.array(found, dtype=np.float64).reshape(-1, len(names))


def table_similarities(queries: Sequence[Description], table: MarkTable) -> Similarities:
    """Raw cosines float32 (q, m, n) of queries against a table of marks; NaN where one is missing."""
    out = np.empty((len(queries), len(table), len(DESCRIPTORS)), np.float32)
    for start in range(0, len(queries), TOGETHER):
        out[start : start + TOGETHER] = Comparison(queries[start : start + TOGETHER], table).similarities
    return out


class Comparison:
    """Some queries against all marks of a table, from one matrix product per descriptor.

    similarities: raw cosines float32 (q, m, n) in the order of DESCRIPTORS; NaN where one is missing.
    """

    def __init__(self, queries: Sequence[Description], table: MarkTable) -> None:
        self._queries, self._table = queries, table
        self._sets = {whole: _SetProducts(queries, table, whole) for whole in set(SET_OF.values())}
        self.similarities: Similarities = np.full((len(queries), len(table), len(DESCRIPTORS)), np.nan, np.float32)
        for axis, name in enumerate(DESCRIPTORS):
            whole = SET_OF.get(name)
            if whole is None:
                self._cosines(name, self.similarities[:, :, axis])
            else:
                self._sets[whole].best(self.similarities[:, :, axis])

    def _cosines(self, name: str, out: Similarities) -> None:
        column = self._table.vectors[name]
        asked = [row for row, query in enumerate(self._queries) if name in query.vectors]
        if not asked or not column.shape[1]:
            return
        found = column @ np.stack([self._queries[row].vectors[name] for row in asked], axis=1)
        # A zero row has no vector; a unit row against anything has a length, so the test is on the row itself.
        found[~self._table.present(name)] = np.nan
        out[asked] = found.T

    def boxes(self, query: int, marks: NDArray[np.integer], *, whole: str = "general") -> list[tuple[Box, Box] | None]:
        """For each of these rows of the table the pair of boxes that matches best, in the query and in the mark; None
        when whole matches whole best. A whole that matches a part is the box of its full image."""
        return self._sets[whole].boxes(query, np.asarray(marks, np.int64))


class _SetProducts:
    """Cosines of all elements of queries, the whole and the parts, with the wholes and the parts of marks."""

    def __init__(self, queries: Sequence[Description], table: MarkTable, whole: str) -> None:
        self._queries, self._table, self._whole = queries, table, whole
        elements = [_elements(query, whole) for query in queries if whole in query.vectors]
        counts = [1 + len(query.regions) if whole in query.vectors else 0 for query in queries]
        ends = np.cumsum([0, *counts])
        self._own = [slice(start, end) for start, end in pairwise(ends.tolist())]
        column = table.vectors[whole]
        every = np.concatenate(elements).T if elements else np.zeros((column.shape[1], 0), np.float32)
        self.wholes: Similarities = column @ every
        self.wholes[~table.present(whole)] = np.nan
        self.parts: Similarities = table.regions.astype(np.float32) @ every if len(table.regions) else every[:0]
        self._owning = np.flatnonzero(np.diff(table.offsets))

    def best(self, out: Similarities) -> None:
        """Into (q, m): max over a in {whole, parts of the query}, b in {whole, parts of the mark} of cos(a, b)."""
        for row, own in enumerate(self._own):
            if own.start == own.stop:
                continue
            out[row] = self.wholes[:, own].max(axis=1)
            if len(self.parts):
                # reduceat over the starts of the marks that own regions: their slices are adjacent and not empty.
                by_mark = np.maximum.reduceat(self.parts[:, own].max(axis=1), self._table.offsets[self._owning])
                out[row, self._owning] = np.fmax(out[row, self._owning], by_mark)

    def boxes(self, query: int, marks: NDArray[np.int64]) -> list[tuple[Box, Box] | None]:
        """As `Comparison.boxes`."""
        own = self._own[query]
        found: list[tuple[Box, Box] | None] = [None] * len(marks)
        counts = np.diff(self._table.offsets)[marks]
        if own.start == own.stop:
            return found
        wholes = self.wholes[marks, own]
        a_whole, best_whole = wholes.argmax(axis=1), wholes.max(axis=1)
        parts, starts = self._parts_of(marks, counts)
        sims = self.parts[parts, own]
        a_part, best_part = sims.argmax(axis=1), sims.max(axis=1)
        asked = _boxes(self._queries[query])
        for place, (mark, start, count) in enumerate(
            zip(marks.tolist(), starts.tolist(), counts.tolist(), strict=True)
        ):
            if np.isnan(best_whole[place]):
                continue
            part = start + int(best_part[start : start + count].argmax()) if count else -1
            best = max(best_whole[place], best_part[part]) if count else best_whole[place]
            if (
                wholes[place, 0] >= best - _HALF_PRECISION
            ):  # of two copies every part matches; it is the whole that counts
                continue
            if best == best_whole[place]:
                width, height = self._table.sizes[mark].tolist()
                found[place] = asked[int(a_whole[place])], (0, 0, width, height)
            else:
                found[place] = asked[int(a_part[part])], _box(self._table.boxes[parts[part]].tolist())
        return found

    def _parts_of(
        self, marks: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The regions of these marks one after another, and where each mark's begin among them."""
        ends = np.cumsum(counts)
        starts = ends - counts
        return np.arange(counts.sum()) + np.repeat(self._table.offsets[marks] - starts, counts), starts


def _elements(description: Description, whole: str) -> Similarities:
    """(1 + r, d): the whole first, then the parts."""
    vector = description.vectors[whole][None, :]
    return np.concatenate([vector, description.regions]) if len(description.regions) else vector


def _boxes(description: Description) -> list[Box]:
    """Of the elements: the full image, then the parts."""
    width, height = description.size
    return [(0, 0, width, height), *map(_box, description.boxes.tolist())]


def _box(corners: Sequence[int]) -> Box:
    x0, y0, x1, y1 = corners
    return x0, y0, x1, y1
