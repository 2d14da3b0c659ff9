"""The world of a simulation: real queries, real relatives, real similarities, computed once. Pure.

A query keeps the marks that can come near the top of its list under any weights; all others never show, whatever
the tuning does, so that a simulated year needs a few hundred megabytes and no index.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from search.retrieval.calibration import Calibration
from search.retrieval.clusters import REPLICATION_K, fit_clusters
from search.retrieval.crowding import cut_shift
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.durable import whole_file
from search.retrieval.similarity import table_similarities
from search.retrieval.table import MarkTable
from search.retrieval.vector_store import VectorStore
from tuning.comparisons import split, weighed
from tuning.evaluation.described import DescribedFiles, Describes
from tuning.evaluation.metu import MetuLayout
from tuning.objective import HeldOut, HeldOutQuery

__all__ = ["KEPT_DEPTH", "Part", "World", "WorldQuery", "build_world", "kept_rows", "load_world", "save_world"]

Part = Literal["traffic", "fit", "validate", "test"]
KEPT_DEPTH = 260
"""Ranks that are kept exactly: a search shows 240."""
_DIRECTIONS = 96
_SHARES: dict[Part, float] = {"traffic": 0.34, "fit": 0.16, "validate": 0.17, "test": 0.33}


@dataclass(frozen=True)
class WorldQuery:
    """One query mark. similarities: float32 (m, n) calibrated, NaN where missing. relevant: (m,) its relatives.

    late: (m,) marks that join the register in mid-year, where a scenario says so; late_query: so does the query.
    """

    name: str
    group: str
    cluster: int
    similarities: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    late: NDArray[np.bool_]
    late_query: bool = False

    @cached_property
    def cut_shift(self) -> float:
        """Added to every tau for this query."""
        return cut_shift(self.similarities)

    def early(self) -> WorldQuery | None:
        """As before the late marks came; None for a query that was not there or had no relative yet."""
        here = ~self.late
        if self.late_query or not self.relevant[here].any():
            return None
        return replace(self, similarities=self.similarities[here], relevant=self.relevant[here], late=self.late[here])

    def held_out(self) -> HeldOutQuery:
        """For the objective and the gate."""
        return HeldOutQuery(
            self.name, self.group, self.cluster, self.similarities, self.relevant, cut_shift=self.cut_shift
        )


@dataclass(frozen=True)
class World:
    """names: the descriptors in the order of the similarities. marks: in the register, queries among them.

    splits: the groups of traffic (what examiners search for), fit and validate (what the tuning may look at) and test
    (which only the referee reads). version: changes with the data and with the descriptors.
    """

    names: tuple[str, ...]
    queries: tuple[WorldQuery, ...]
    marks: int
    clusters: int
    version: str
    deal: int = 0

    def dealt(self, deal: int) -> World:
        """The same world with its groups dealt to the parts in another way."""
        return replace(self, deal=deal)

    @cached_property
    def splits(self) -> dict[Part, frozenset[str]]:
        """Disjoint groups of each part, dealt by a hash of their names."""

        def order(group: str) -> bytes:
            return hashlib.sha256(f"world {self.deal} {group}".encode()).digest()

        groups = sorted({q.group for q in self.queries}, key=order)
        found: dict[Part, frozenset[str]] = {}
        done, start = 0.0, 0
        for part, share in _SHARES.items():
            done += share
            end = round(done * len(groups))
            found[part] = frozenset(groups[start:end])
            start = end
        return found

    def of(self, part: Part) -> tuple[WorldQuery, ...]:
        """The queries of a part."""
        groups = self.splits[part]
        return tuple(q for q in self.queries if q.group in groups)

    def held_out(self, part: Part) -> HeldOut:
        """The queries of a part as the objective and the gate take them."""
        return HeldOut(self.names, tuple(q.held_out() for q in self.of(part)))

    def early(self) -> World:
        """The register before the late marks came."""
        queries = tuple(e for q in self.queries if (e := q.early()) is not None)
        # The splits of a smaller world must be those of the whole one.
        small = replace(self, queries=queries)
        small.__dict__["splits"] = self.splits
        return small

    def thinned(self, per_group: int) -> World:
        """At most so many queries of each group, for a quicker run; every relative stays a mark."""
        seen: dict[str, int] = {}
        kept = []
        for query in self.queries:
            seen[query.group] = seen.get(query.group, 0) + 1
            if seen[query.group] <= per_group:
                kept.append(query)
        thin = replace(self, queries=tuple(kept))
        thin.__dict__["splits"] = self.splits
        return thin


def kept_rows(similarities: NDArray[np.float32], depth: int = KEPT_DEPTH, seed: int = 0) -> NDArray[np.intp]:
    """Rows of (m, n) that come among the first `depth` under some weights: corners, edges, middle and random ones."""
    m, n = similarities.shape
    if m <= depth:
        return np.arange(m)
    directions = [np.eye(n), np.full((1, n), 1 / n)]
    directions += [(np.eye(n)[a] + np.eye(n)[b])[None] / 2 for a, b in combinations(range(n), 2)]
    directions.append(np.random.default_rng(seed).dirichlet(np.full(n, 0.7), _DIRECTIONS))
    w = np.concatenate(directions).T
    found = weighed(*split(similarities), w)
    best = np.argpartition(-found, depth, axis=0)[:depth]
    return np.unique(best)


def build_world(
    layout: MetuLayout,
    describer: Describes,
    store: VectorStore | None,
    *,
    calibration: Calibration | None = None,
    clusters: int = REPLICATION_K,
    done: Callable[[int], None] = lambda _: None,
) -> World:
    """Describe queries and pool, cluster them, and keep what each query can ever see.

    One cluster in four is "late": its marks, and the queries of groups most of whose members lie in it, join in
    mid-year in the scenario that asks for it. Raises LayoutError as `DescribedFiles` does. Memory: one float32 per
    mark and dimension, and 4 bytes x marks x descriptors for one query at a time.
    """
    calibration = calibration or Calibration.shipped()
    readable: list[int] = []
    heads = _table(layout.query_paths, describer, store, done, readable)
    pool = _table(layout.pool_paths, describer, store, done, [])
    table = MarkTable.concatenate([heads, pool])
    general = table.vectors["general"]
    kmeans = fit_clusters(general, k=clusters)
    assignment = kmeans.assign(general)
    groups = np.array([layout.groups[row] for row in readable])
    late_cluster = np.arange(len(kmeans)) % 4 == 1
    late_mark = late_cluster[assignment]
    names = tuple(name for name in DESCRIPTORS if not _empty(table, name))
    axes = [DESCRIPTORS.index(name) for name in names]
    late_group = {g: bool(np.mean(late_mark[: len(groups)][groups == g]) > 0.5) for g in set(groups.tolist())}
    for row, group in enumerate(groups):  # a family comes as one
        late_mark[row] = late_group[str(group)]
    found = []
    for row, group in enumerate(groups):
        relevant = np.zeros(len(table), dtype=bool)
        relevant[: len(groups)] = groups == group
        relevant[row] = False
        if not relevant.any():
            continue
        sims = calibration.apply(table_similarities([table.description(row)], table)[0])[:, axes]
        sims[row] = np.nan
        keep = np.union1d(kept_rows(sims), np.flatnonzero(relevant))
        keep = keep[keep != row]
        found.append(
            WorldQuery(
                name=layout.query_paths[readable[row]].name,
                group=str(group),
                cluster=int(assignment[row]),
                similarities=np.ascontiguousarray(sims[keep], dtype=np.float32),
                relevant=relevant[keep],
                late=late_mark[keep],
                late_query=late_group[str(group)],
            )
        )
        done(1)
    version = _version(layout, describer, calibration)
    return World(names, tuple(found), len(table), len(kmeans), version)


def save_world(world: World, path: Path) -> None:
    """One file; a half-written one is never seen."""
    queries = world.queries
    head = {
        "names": list(world.names), "marks": world.marks, "clusters": world.clusters, "version": world.version,
        "queries": [[q.name, q.group, q.cluster, len(q.relevant), q.late_query] for q in queries],
    }  # fmt: skip
    with whole_file(path) as hidden, hidden.open("wb") as file:
        np.savez(
            file,
            head=np.frombuffer(json.dumps(head).encode(), dtype=np.uint8),
            similarities=np.concatenate([q.similarities for q in queries]),
            relevant=np.concatenate([q.relevant for q in queries]),
            late=np.concatenate([q.late for q in queries]),
        )


def load_world(path: Path) -> World:
    """Inverse of `save_world`. Raises ValueError with a sentence for another file."""
    try:
        with np.load(path) as data:
            head = json.loads(data["head"].tobytes())
            sims, relevant, late = data["similarities"], data["relevant"], data["late"]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is not a world of the simulator; delete it, and it is built anew.") from error
    queries, at = [], 0
    for name, group, cluster, size, late_query in head["queries"]:
        rows = slice(at, at + size)
        queries.append(WorldQuery(name, group, cluster, sims[rows], relevant[rows], late[rows], late_query))
        at += size
    return World(tuple(head["names"]), tuple(queries), head["marks"], head["clusters"], head["version"])


def world_version(layout: MetuLayout, describer: Describes, calibration: Calibration | None = None) -> str:
    """What `World.version` will be: asked before a cached world is used."""
    return _version(layout, describer, calibration or Calibration.shipped())


def _version(layout: MetuLayout, describer: Describes, calibration: Calibration) -> str:
    digest = hashlib.sha256(f"world 1 {describer.version} {calibration.version}".encode())
    for path in (*layout.query_paths, *layout.pool_paths):
        digest.update(f"{path.name}:{path.stat().st_size};".encode())
    return digest.hexdigest()[:16]


def _table(
    paths: Sequence[Path],
    describer: Describes,
    store: VectorStore | None,
    done: Callable[[int], None],
    readable: list[int],
) -> MarkTable:
    """Readable images as one table; `readable` is filled with their places in `paths`."""
    refused: set[Path] = set()
    files = DescribedFiles(describer, store, refused=lambda path, _: refused.add(path), done=done)
    table = MarkTable.concatenate(list(files.chunks(paths)))
    readable += [place for place, path in enumerate(paths) if path not in refused]
    return table


def _empty(table: MarkTable, name: str) -> bool:
    """Whether a descriptor is off: no mark has it. A set is on with the descriptor it is made of."""
    return name in table.vectors and not table.vectors[name].size
