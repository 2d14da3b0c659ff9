"""A search in two stages: candidates by linear score or Hamming distance, then Eq 1 on calibrated similarities."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from search.retrieval.crowding import cut_shift
from search.retrieval.description import Description
from search.retrieval.descriptors import DESCRIPTORS, SET_OF, VECTOR_DESCRIPTORS
from search.retrieval.fusion import fuse
from search.retrieval.parameters import ClusterParameters, Parameters
from search.retrieval.probe import TOP, Answer
from search.retrieval.records import Depth, Filters, Hit, SearchAnswer
from search.retrieval.similarity import best_boxes, table_similarities
from search.retrieval.snapshot import Snapshot
from search.retrieval.table import MarkTable

_NO_FILTERS = Filters()
_NEAR_SHARE = 0.01
"""Share of the marks that pass the filters which the Hamming stage hands on, and never fewer than asked for: codes are
coarse, and comparing some thousand marks exactly costs milliseconds."""
_AROUND = 128
"""Marks compared exactly for the query's crowding: the 48 nearest by Eq 1 are among that many by the linear score."""
Mask = NDArray[np.bool_]


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
        """The `top` marks most like the described image.

        parameters: those of the query's cluster are used when they were made for this snapshot's clustering,
        else the default. filters and depth act inside the search: the list is cut short only when fewer
        marks pass. candidates: marks kept for the exact stage, at least `top`; by Hamming distance also at least 1 % of
        the marks that pass. cluster: whose parameters and neighbours are used; None: the cluster that the description
        lies in.
        Raises ValueError for a description without `general`.
        """
        if "general" not in description.vectors:
            raise ValueError("The image has no `general` vector, so it cannot be searched.")
        clock = _Clock()
        snapshot = self.snapshot
        if cluster is None:
            cluster = self.cluster_of(description)
        used = self._parameters(parameters, cluster)
        clusters, allowed = self._scope(filters, depth, cluster, used.extension)
        clock.lap("filter")
        rows = self._candidates(description, used, allowed, max(candidates, top))
        clock.lap("candidates")
        shift = self._cut_shift(description)
        clock.lap("crowding")
        hits = self._exact(description, used, rows, top, shift)
        clock.lap("exact")
        scanned = snapshot.count if allowed is None else int(allowed.sum())
        return SearchAnswer(cluster, clusters, scanned, hits, clock.done(), cut=used.threshold + shift, cut_shift=shift)

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
        hits = self._exact(description, used, rows, len(rows), self._cut_shift(description))
        return {hit.number: hit for hit in hits}

    def probed(self, description: Description) -> Answer:
        """The best marks under equal weights: what a Probe keeps and compares."""
        answer = self.search(description, Parameters.initial(DESCRIPTORS), top=TOP)
        return tuple((hit.number, hit.score) for hit in answer.hits)

    def cluster_of(self, description: Description) -> int:
        """The cluster that a description lies in."""
        return int(self.snapshot.clusters.assign(description.vectors["general"])[0])

    def _parameters(self, parameters: Parameters, cluster: int) -> ClusterParameters:
        same = parameters.clusters_version == self.snapshot.clusters.version
        return parameters.for_cluster(cluster if same else None)

    def _scope(
        self, filters: Filters, depth: Depth, cluster: int, extension: float
    ) -> tuple[tuple[int, ...], Mask | None]:
        """The clusters searched and the rows that may be found (None = all)."""
        allowed = self.snapshot.columns.mask(filters)
        if depth == "register":
            return tuple(range(len(self.snapshot.clusters))), allowed
        near = self.snapshot.clusters.near(cluster, extension)
        inside = np.isin(self.snapshot.assignment, near)
        return near, inside if allowed is None else inside & allowed

    def _candidates(
        self, description: Description, used: ClusterParameters, allowed: Mask | None, count: int
    ) -> NDArray[np.int64]:
        """Rows for the exact stage: the nearest as the snapshot's first stage has it, and marks of which some part
        matches."""
        snapshot = self.snapshot
        if snapshot.codes is None:
            _, found = snapshot.index.search(self._linear_query(description, used.weights), count, allowed=allowed)
        else:
            passing = snapshot.count if allowed is None else int(allowed.sum())
            code = snapshot.codes.head.codes(description.vectors["general"])
            most = max(count, math.ceil(_NEAR_SHARE * passing))
            _, found = snapshot.codes.index.search(code, most, allowed=allowed)
        sets = [name for name in SET_OF if used.weights.get(name, 0) > 0]
        parts = [found.ravel()]
        for name in sets:
            parts += self._part_candidates(description, SET_OF[name], allowed, max(50, count // 4))
        rows = np.unique(np.concatenate(parts))
        return rows[rows >= 0]

    def _linear_query(self, description: Description, weights: Mapping[str, float]) -> NDArray[np.float32]:
        """[W_1 q_1 | ... | W_n q_n]; a set counts with its whole, which its maximum is never below."""
        pieces = []
        for name in VECTOR_DESCRIPTORS:
            weight = weights.get(name, 0.0)
            weight += sum(weights.get(other, 0.0) for other, whole in SET_OF.items() if whole == name)
            width = self.snapshot.table.vectors[name].shape[1]
            vector = description.vectors.get(name)
            pieces.append(np.zeros(width, np.float32) if vector is None or not width else weight * vector)
        return np.concatenate(pieces)[None, :].astype(np.float32)

    def _part_candidates(
        self, description: Description, whole: str, allowed: Mask | None, count: int
    ) -> list[NDArray[np.int64]]:
        """Rows by: parts of the query against whole marks, whole and parts against parts of marks."""
        snapshot = self.snapshot
        vector = description.vectors[whole]
        rows = []
        if len(description.regions):
            wide = np.zeros((len(description.regions), snapshot.table.vectors_width), np.float32)
            start = snapshot.table.vector_start(whole)
            wide[:, start : start + len(vector)] = description.regions
            rows.append(snapshot.index.search(wide, count, allowed=allowed)[1].ravel())
        if snapshot.regions is not None:
            owners = snapshot.table.owners
            elements = np.concatenate([vector[None], description.regions.reshape(-1, len(vector))])
            inside = None if allowed is None else allowed[owners]
            found = snapshot.regions.search(elements, count, allowed=inside)[1].ravel()
            rows.append(owners[found[found >= 0]])
        return rows

    def _cut_shift(self, description: Description) -> float:
        """By how much the whole register's marks around the query move its cut, whatever the filters are."""
        snapshot = self.snapshot
        if snapshot.codes is None:
            equal = dict.fromkeys(DESCRIPTORS, 1 / len(DESCRIPTORS))
            _, found = snapshot.index.search(self._linear_query(description, equal), _AROUND)
        else:
            code = snapshot.codes.head.codes(description.vectors["general"])
            _, found = snapshot.codes.index.search(code, max(_AROUND, math.ceil(_NEAR_SHARE * snapshot.count)))
        rows = found.ravel()
        return cut_shift(self._similarities(description, snapshot.table.take(rows[rows >= 0])))

    def _similarities(self, description: Description, table: MarkTable) -> NDArray[np.float32]:
        """(m, n) calibrated similarities of the query to the marks of a table."""
        return self.snapshot.calibration.apply(table_similarities([description], table)[0])

    def _exact(
        self, description: Description, used: ClusterParameters, rows: NDArray[np.int64], top: int, shift: float
    ) -> list[Hit]:
        """Eq 1 on the calibrated similarities of `rows`, best first; equal scores in the register's order.

        shift: of this query's cut.
        """
        snapshot = self.snapshot
        table = snapshot.table.take(rows)
        calibrated = self._similarities(description, table)
        scores = np.nan_to_num(fuse(calibrated, np.array(used.weight_vector(DESCRIPTORS))), nan=0.0)
        order = np.argsort(-scores, kind="stable")[:top]
        return [
            Hit(
                number=str(table.numbers[place]),
                rank=rank,
                score=float(scores[place]),
                similarities=_named(calibrated[place]),
                preselected=bool(scores[place] >= used.threshold + shift),
                cluster=int(snapshot.assignment[rows[place]]),
                boxes=best_boxes(description, table.description(int(place))),
            )
            for rank, place in enumerate(order, start=1)
        ]


class _Clock:
    """Milliseconds per stage."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._laps[stage] = (now - self._last) * 1000
        self._last = now

    def done(self) -> dict[str, float]:
        return {**self._laps, "total": (time.perf_counter() - self._start) * 1000}


def _named(similarities: NDArray[np.float32]) -> dict[str, float | None]:
    return {
        name: None if np.isnan(value) else float(value) for name, value in zip(DESCRIPTORS, similarities, strict=True)
    }
