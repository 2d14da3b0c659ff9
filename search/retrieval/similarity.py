"""Raw per-descriptor similarities of marks: cosines, and the best set-to-set match for parts.

`objects` is the maximum over {whole} and parts of the one mark against {whole} and parts of the other
(design section 1): measured on held-out families it gains where the mean of the parts does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from search.retrieval.description import Description
from search.retrieval.descriptors import DESCRIPTORS, SET_OF
from search.retrieval.records import Box
from search.retrieval.table import MarkTable

Similarities = NDArray[np.float32]
_HALF_PRECISION = 0.002
"""Parts are stored as float16, so cosines this close are equal."""


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
    out = np.full((len(queries), len(table), len(DESCRIPTORS)), np.nan, np.float32)
    regions = table.regions.astype(np.float32)
    for axis, name in enumerate(DESCRIPTORS):
        whole = SET_OF.get(name)
        for row, query in enumerate(queries):
            if whole is None:
                out[row, :, axis] = _cosines(query, table, name)
            else:
                out[row, :, axis] = _set_match(query, table, whole, regions)
    return out


def _cosines(query: Description, table: MarkTable, name: str) -> Similarities:
    vector = query.vectors.get(name)
    column = table.vectors[name]
    if vector is None or not column.shape[1]:
        return np.full(len(table), np.nan, np.float32)
    sims = np.asarray(column @ vector, dtype=np.float32)
    # A zero row has no vector; a unit row against anything has a length, so the test is on the row itself.
    sims[~column.any(axis=1)] = np.nan
    return sims


def _set_match(query: Description, table: MarkTable, whole: str, regions: Similarities) -> Similarities:
    """max over a in {whole, parts of the query}, b in {whole, parts of the mark} of cos(a, b)."""
    if whole not in query.vectors:
        return np.full(len(table), np.nan, np.float32)
    elements = _elements(query, whole)
    column = table.vectors[whole]
    best = np.asarray((column @ elements.T).max(axis=1), dtype=np.float32)
    best[~column.any(axis=1)] = np.nan
    if len(regions):
        by_region = (regions @ elements.T).max(axis=1)
        owning = np.flatnonzero(np.diff(table.offsets))
        # reduceat over the starts of the marks that own regions: their slices are adjacent and not empty.
        part = np.maximum.reduceat(by_region, table.offsets[owning])
        best[owning] = np.fmax(best[owning], part)
    return best


def _elements(description: Description, whole: str) -> Similarities:
    """(1 + r, d): the whole first, then the parts."""
    vector = description.vectors[whole][None, :]
    return np.concatenate([vector, description.regions]) if len(description.regions) else vector


def best_boxes(query: Description, mark: Description, *, whole: str = "general") -> tuple[Box, Box] | None:
    """The pair of boxes that matches best, in the query and in the mark; None when whole matches whole best.

    A whole that matches a part is the box of its full image.
    """
    if whole not in query.vectors or whole not in mark.vectors:
        return None
    sims = _elements(query, whole) @ _elements(mark, whole).T
    if sims[0, 0] >= sims.max() - _HALF_PRECISION:  # of two copies every part matches; it is the whole that counts
        return None
    a, b = np.unravel_index(int(sims.argmax()), sims.shape)
    return _box(query, int(a)), _box(mark, int(b))


def _box(description: Description, element: int) -> Box:
    if element == 0:
        return (0, 0, description.size[0], description.size[1])
    x0, y0, x1, y1 = (int(v) for v in description.boxes[element - 1])
    return (x0, y0, x1, y1)
