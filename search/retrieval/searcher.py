"""A search in two stages: candidates by linear score or Hamming distance, then Eq 1 on calibrated similarities."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from search.retrieval.candidates import Mask, Rows, around
from search.retrieval.candidates import candidates as candidates_of
from search.retrieval.crowding import cut_shift
from search.retrieval.description import Description
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.fusion import fuse
from search.retrieval.parameters import ClusterParameters, Parameters
from search.retrieval.probe import TOP, Answer
from search.retrieval.records import Depth, Filters, Hit, Query, SearchAnswer
from search.retrieval.similarity import TOGETHER, Comparison
from search.retrieval.snapshot import Snapshot

_NO_FILTERS = Filters()


@dataclass(frozen=True)
class _Scope:
    """Where one query searches. allowed: rows that may be found, None: all; key: equal for equal rows."""

    cluster: int
    used: ClusterParameters
    clusters: tuple[int, ...]
    allowed: Mask | None
    key: object


class Searcher:
    """Answers searches on one snapshot. Immutable, so threads may share it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def search(
        self,
        description: Description,
        parameters: Parameters,
        *,
        filters: Filters = _NO_FILTERS,
        depth: Depth = "register",
        candidates: int = 1000,
        top: int = 240,
        cluster: int | None = None,
    ) -> SearchAnswer:
        """One query by itself; see `search_many` and `records.Query`."""
        query = Query(description, parameters, filters, depth, cluster)
        return self.search_many([query], candidates=candidates, top=top)[0]

    def search_many(self, queries: Sequence[Query], *, candidates: int = 1000, top: int = 240) -> list[SearchAnswer]:
        """For each query the `top` marks most like it; together they cost less than one by one.

        Filters and depth act inside the search: a list is cut short only when fewer marks pass. candidates: marks kept
        for the exact stage, at least `top`; by Hamming distance also at least 1 % of the marks that pass.
        Raises ValueError for a description without `general`.
        """
        if any("general" not in query.description.vectors for query in queries):
            raise ValueError("The image has no `general` vector, so it cannot be searched.")
        clock = _Clock(len(queries))
        scopes = self._scopes(queries)
        clock.lap("filter")
        rows = self._candidates(queries, scopes, max(candidates, top))
        clock.lap("candidates")
        shifts = self._cut_shifts([query.description for query in queries])
        clock.lap("crowding")
        asked = [(q.description, scope.used, own) for q, scope, own in zip(queries, scopes, rows, strict=True)]
        hits = []
        for part in (slice(start, start + TOGETHER) for start in range(0, len(asked), TOGETHER)):
            hits += self._exact(asked[part], top, shifts[part])
        clock.lap("exact")
        timings = clock.done()
        answers = []
        for scope, found, shift in zip(scopes, hits, shifts, strict=True):
            scanned = self.snapshot.count if scope.allowed is None else int(scope.allowed.sum())
            cut = scope.used.threshold + shift
            answers.append(
                SearchAnswer(scope.cluster, scope.clusters, scanned, found, timings, cut=cut, cut_shift=shift)
            )
        return answers

    def probed(self, description: Description) -> Answer:
        """The best marks under equal weights: what a Probe keeps and compares."""
        answer = self.search(description, Parameters.initial(DESCRIPTORS), top=TOP)
        return tuple((hit.number, hit.score) for hit in answer.hits)

    def compare(
        self, description: Description, parameters: Parameters, numbers: Sequence[str], *, cluster: int | None = None
    ) -> dict[str, Hit]:
        """Number -> hit: these marks against the description; rank is that among them.

        KeyError for a mark that the snapshot does not hold. cluster: as in `search`.
        """
        if cluster is None:
            cluster = self.cluster_of(description)
        rows = np.array([self.snapshot.table.places[number] for number in numbers], dtype=np.int64)
        used = self._parameters(parameters, cluster)
        hits = self._exact([(description, used, rows)], len(rows), self._cut_shifts([description]))[0]
        return {hit.number: hit for hit in hits}

    def cluster_of(self, description: Description) -> int:
        """The cluster that a description lies in."""
        return int(self.snapshot.clusters.assign(description.vectors["general"])[0])

    def _parameters(self, parameters: Parameters, cluster: int) -> ClusterParameters:
        same = parameters.clusters_version == self.snapshot.clusters.version
        return parameters.for_cluster(cluster if same else None)

    def _scopes(self, queries: Sequence[Query]) -> list[_Scope]:
        """Where each query searches; equal limits share one mask, so that they can be searched together."""
        snapshot = self.snapshot
        masks: dict[tuple[Filters, tuple[int, ...] | None], Mask | None] = {}
        found = []
        for query in queries:
            cluster = self.cluster_of(query.description) if query.cluster is None else query.cluster
            used = self._parameters(query.parameters, cluster)
            near = None if query.depth == "register" else snapshot.clusters.near(cluster, used.extension)
            key = query.filters, near
            if key not in masks:
                allowed = snapshot.columns.mask(query.filters)
                if near is not None:
                    inside = np.isin(snapshot.assignment, near)
                    allowed = inside if allowed is None else inside & allowed
                masks[key] = allowed
            clusters = tuple(range(len(snapshot.clusters))) if near is None else near
            found.append(_Scope(cluster, used, clusters, masks[key], key))
        return found

    def _candidates(self, queries: Sequence[Query], scopes: Sequence[_Scope], count: int) -> list[Rows]:
        """Rows for the exact stage of each query."""
        groups: dict[object, list[int]] = {}
        for place, scope in enumerate(scopes):
            groups.setdefault(scope.key, []).append(place)
        rows: dict[int, Rows] = {}
        for places in groups.values():
            found = candidates_of(
                self.snapshot, [queries[place].description for place in places],
                [scopes[place].used.weights for place in places], scopes[places[0]].allowed, count,
            )  # fmt: skip
            rows |= dict(zip(places, found, strict=True))
        return [rows[place] for place in range(len(queries))]

    def _cut_shifts(self, descriptions: Sequence[Description]) -> list[float]:
        """By how much the whole register's marks around each query move its cut, whatever the filters are."""
        rows = around(self.snapshot, descriptions)
        union, places = _union(rows)
        compared = Comparison(descriptions, self.snapshot.table.take(union))
        apply = self.snapshot.calibration.apply
        return [cut_shift(apply(sims[own])) for sims, own in zip(compared.similarities, places, strict=True)]

    def _exact(
        self, asked: Sequence[tuple[Description, ClusterParameters, Rows]], top: int, shifts: Sequence[float]
    ) -> list[list[Hit]]:
        """For each description Eq 1 on the calibrated similarities of its rows, best first; equal scores in the
        register's order. shifts: of each one's cut."""
        union, places = _union([rows for _, _, rows in asked])
        table = self.snapshot.table.take(union)
        compared = Comparison([description for description, _, _ in asked], table)
        hits = []
        for query, ((_, used, _), own, shift) in enumerate(zip(asked, places, shifts, strict=True)):
            calibrated = self.snapshot.calibration.apply(compared.similarities[query][own])
            scores = np.nan_to_num(fuse(calibrated, np.array(used.weight_vector(DESCRIPTORS))), nan=0.0)
            order = np.argsort(-scores, kind="stable")[:top]
            best = own[order]
            columns = zip(
                table.numbers[best].tolist(),
                scores[order].tolist(),
                calibrated[order].tolist(),
                (scores[order] >= used.threshold + shift).tolist(),
                self.snapshot.assignment[union[best]].tolist(),
                compared.boxes(query, best),
                strict=True,
            )
            hits.append(
                [
                    Hit(str(number), rank, score, _named(similarities), preselected, cluster, boxes)
                    for rank, (number, score, similarities, preselected, cluster, boxes) in enumerate(columns, start=1)
                ]
            )
        return hits


def _union(rows: Sequence[Rows]) -> tuple[Rows, list[Rows]]:
    """All rows that occur, in their order, and where each list's stand among them."""
    union = np.unique(np.concatenate(rows))
    return union, [np.searchsorted(union, own) for own in rows]


class _Clock:
    """Milliseconds per stage; of several queries each has its share."""

    def __init__(self, queries: int) -> None:
        self._share = 1000 / queries
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._laps[stage] = (now - self._last) * self._share
        self._last = now

    def done(self) -> dict[str, float]:
        return {**self._laps, "total": (time.perf_counter() - self._start) * self._share}


def _named(similarities: Sequence[float]) -> dict[str, float | None]:
    return {name: None if isnan(value) else value for name, value in zip(DESCRIPTORS, similarities, strict=True)}
