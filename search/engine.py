"""The engine of this process: encoder and current snapshot, loaded on first use inside the worker."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings

from search import encoders, progress
from search.errors import Unavailable
from search.retrieval.decoding import decode_apart
from search.retrieval.describe import Describer, Description
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.imaging import Picture
from search.retrieval.live import LiveSearcher
from search.retrieval.parameters import Parameters
from search.retrieval.records import Depth, Filters, Query, SearchAnswer
from search.retrieval.searcher import Searcher
from search.retrieval.snapshot import Snapshot, SnapshotRefused, SnapshotStore
from search.retrieval.vector_store import VectorStore

log = logging.getLogger(__name__)


class _Eyes:
    """One set of weights, loaded: its describer, and the searcher of snapshots made with it."""

    def __init__(self, weights: Path) -> None:
        self.weights = weights
        self.describer = Describer(weights=weights)
        self.live: LiveSearcher | None = None

    def describe(self, picture: Picture) -> Description:
        return self.describer.describe([picture])[0]


@dataclass(frozen=True)
class Asked:
    """One search. data: the bytes of an image file."""

    data: bytes
    filters: Filters
    depth: Depth


@dataclass(frozen=True)
class Answered:
    """The answer, timed by stage in ms (of several searches each has its share), and the snapshot that served it."""

    answer: SearchAnswer
    snapshot: Snapshot


class Engine:
    """Lazy and thread-safe. A new snapshot is picked up by the next search; running ones finish on theirs.

    So is another encoder: whatever describes marks uses it at once, and searches go on with the old one until the
    snapshot made with the new one is there.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._eyes: _Eyes | None = None
        self._before: _Eyes | None = None
        self._stores: dict[tuple[Path, str], VectorStore] = {}

    @property
    def snapshots(self) -> SnapshotStore:
        return SnapshotStore(Path(settings.TM_DATA_DIR) / "snapshots")

    @property
    def vectors(self) -> VectorStore:
        """The described marks. Kept, since a store remembers which segments it has read already."""
        return self.vectors_of(self.describer)

    def vectors_of(self, describer: Describer) -> VectorStore:
        """The register as described by this describer, which need not be the one in use."""
        key = (Path(settings.TM_DATA_DIR) / "vectors", describer.version)
        return self._stores.setdefault(key, VectorStore(*key))

    @property
    def describer(self) -> Describer:
        """Of the weights in use now."""
        return self._current().describer

    def describe_one(self, picture: Picture) -> Description:
        return self._current().describe(picture)

    def searcher(self) -> Searcher:
        """The searcher of the current snapshot; raises Unavailable with a sentence when there is none that fits."""
        return self._searcher(self._current())

    def search(
        self, data: bytes, parameters: Parameters, *, filters: Filters, depth: Depth, candidates: int, top: int
    ) -> tuple[SearchAnswer, Snapshot]:
        """One search by itself."""
        asked = Asked(data, filters, depth)
        found = self.search_many([asked], parameters, candidates=candidates, top=top)[0]
        return found.answer, found.snapshot

    def search_many(
        self, asked: Sequence[Asked], parameters: Parameters, *, candidates: int, top: int
    ) -> list[Answered]:
        """Decode, describe, search: all of them together, on one snapshot. Raises ImageRefused for one bad image."""
        start = time.perf_counter()
        pictures = [self._decoded(one.data) for one in asked]
        decoded = time.perf_counter()
        eyes, searcher = self._serving()
        progress.step()
        described = eyes.describer.describe(pictures)
        progress.step()
        share = 1000 / len(asked)
        stages = {"decode": (decoded - start) * share, "describe": (time.perf_counter() - decoded) * share}
        queries = [
            Query(description, parameters, one.filters, one.depth)
            for description, one in zip(described, asked, strict=True)
        ]
        answers = searcher.search_many(queries, candidates=candidates, top=top)
        return [
            Answered(replace(answer, timings=stages | answer.timings, query=query.description), searcher.snapshot)
            for query, answer in zip(queries, answers, strict=True)
        ]

    @staticmethod
    def _decoded(data: bytes) -> Picture:
        progress.step()
        return decode_apart(data)

    def serving(self) -> tuple[Searcher, Callable[[Picture], Description]]:
        """The searcher that answers now, and what describes a picture in its terms; raises Unavailable."""
        eyes, searcher = self._serving()
        return searcher, eyes.describe

    def status(self) -> dict[str, Any]:
        """What this worker serves, for the heartbeat. Cheap: reads what is loaded."""
        serves = self._eyes is not None and self._eyes.live is not None
        return {"snapshot": self.snapshots.current() if serves else None}

    def warm(self) -> None:
        """Load everything before the first search asks for it."""
        blank = np.full((64, 64, 3), 255, np.uint8)
        blank[16:48, 16:48] = 0
        self.describer.describe([blank])
        try:
            self.searcher()
        except Unavailable as away:
            log.warning("%s", away)

    def _current(self) -> _Eyes:
        """The weights in use, loaded when the pointer names others than before."""
        wanted = encoders.weights()
        with self._lock:
            if self._eyes is None or self._eyes.weights != wanted:
                try:
                    self._before, self._eyes = self._eyes, _Eyes(wanted)
                except WeightsUnusable as missing:
                    raise Unavailable(str(missing)) from None
            return self._eyes

    def _searcher(self, eyes: _Eyes) -> Searcher:
        with self._lock:
            if eyes.live is None:
                eyes.live = LiveSearcher(self.snapshots, descriptors_version=eyes.describer.version)
            try:
                return eyes.live.get()
            except SnapshotRefused as refusal:
                raise Unavailable(str(refusal)) from None

    def _serving(self) -> tuple[_Eyes, Searcher]:
        """Weights and a snapshot that belong together: those in use, or until they have a snapshot those before."""
        eyes = self._current()
        try:
            searcher = self._searcher(eyes)
        except Unavailable as away:
            before = self._before
            if before is None:
                raise
            try:
                return before, self._searcher(before)
            except Unavailable:
                raise away from None
        self._before = None
        return eyes, searcher


engine = Engine()
