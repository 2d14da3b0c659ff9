"""The first stage of a search: which rows of a snapshot are worth comparing exactly, for several queries at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from search.retrieval.description import Description
from search.retrieval.descriptors import DESCRIPTORS, SET_OF, VECTOR_DESCRIPTORS
from search.retrieval.snapshot import Snapshot

_NEAR_SHARE = 0.01
"""Share of the marks that pass the filters which the Hamming stage hands on, and never fewer than asked for: codes are
coarse, and comparing some thousand marks exactly costs milliseconds."""
_AROUND = 128
"""Marks compared exactly for a query's crowding: the 48 nearest by Eq 1 are among that many by the linear score."""

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]
Weights = Mapping[str, float]


def around(snapshot: Snapshot, queries: Sequence[Description]) -> list[Rows]:
    """For each query the rows nearest to it in the whole register, whatever filters and weights are."""
    equal = dict.fromkeys(DESCRIPTORS, 1 / len(DESCRIPTORS))
    return [_valid(rows) for rows in _nearest(snapshot, queries, [equal] * len(queries), None, _AROUND)]


def candidates(
    snapshot: Snapshot, queries: Sequence[Description], weights: Sequence[Weights], allowed: Mask | None, count: int
) -> list[Rows]:
    """For each query, in the order of their numbers, the `count` nearest rows as the snapshot's first stage has it, and
    those of marks of which some part matches. allowed: rows that may be found, the same for all; None: every one.
    """
    found = {query: [rows] for query, rows in enumerate(_nearest(snapshot, queries, weights, allowed, count))}
    for name, whole in SET_OF.items():
        asked = {n: query for n, query in enumerate(queries) if weights[n].get(name, 0) > 0}
        for query, rows in _by_parts(snapshot, asked, whole, allowed, max(50, count // 4)):
            found[query].append(rows)
    return [_valid(np.unique(np.concatenate(rows))) for rows in found.values()]


def _valid(rows: Rows) -> Rows:
    return rows[rows >= 0]


def _nearest(
    snapshot: Snapshot, queries: Sequence[Description], weights: Sequence[Weights], allowed: Mask | None, count: int
) -> Rows:
    if snapshot.codes is None:
        return snapshot.index.search(_linear(snapshot, queries, weights), count, allowed=allowed)[1]
    passing = snapshot.count if allowed is None else int(allowed.sum())
    codes = snapshot.codes.head.codes(np.stack([query.vectors["general"] for query in queries]))
    return snapshot.codes.index.search(codes, max(count, math.ceil(_NEAR_SHARE * passing)), allowed=allowed)[1]


def _linear(snapshot: Snapshot, queries: Sequence[Description], weights: Sequence[Weights]) -> Vectors:
    """(q, d) rows [W_1 q_1 | ... | W_n q_n]; a set counts with its whole, which its maximum is never below."""
    out = np.zeros((len(queries), snapshot.table.vectors_width), np.float32)
    for name in VECTOR_DESCRIPTORS:
        width = snapshot.table.vectors[name].shape[1]
        start = snapshot.table.vector_start(name)
        for row, (query, weighed) in enumerate(zip(queries, weights, strict=True)):
            vector = query.vectors.get(name)
            if width and vector is not None:
                weight = weighed.get(name, 0.0)
                weight += sum(weighed.get(other, 0.0) for other, whole in SET_OF.items() if whole == name)
                out[row, start : start + width] = weight * vector
    return out


def _by_parts(
    snapshot: Snapshot, queries: Mapping[int, Description], whole: str, allowed: Mask | None, count: int
) -> Iterator[tuple[int, Rows]]:
    """Each query's key and rows, by: its parts against whole marks, its whole and its parts against parts of marks."""
    parts = [(key, region) for key, query in queries.items() for region in query.regions]
    if parts:
        wide = np.zeros((len(parts), snapshot.table.vectors_width), np.float32)
        start = snapshot.table.vector_start(whole)
        wide[:, start : start + len(parts[0][1])] = [region for _, region in parts]
        found = snapshot.index.search(wide, count, allowed=allowed)[1]
        yield from ((key, rows) for (key, _), rows in zip(parts, found, strict=True))
    if snapshot.regions is not None and queries:
        elements = [(key, query.vectors[whole]) for key, query in queries.items()] + parts
        owners = snapshot.table.owners
        inside = None if allowed is None else allowed[owners]
        found = snapshot.regions.search(np.stack([vector for _, vector in elements]), count, allowed=inside)[1]
        yield from ((key, owners[_valid(rows)]) for (key, _), rows in zip(elements, found, strict=True))
