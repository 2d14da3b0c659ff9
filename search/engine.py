"""The engine of this process: encoder and current snapshot, loaded on first use inside the worker."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings

from search import encoders
from search.errors import Unavailable
from search.retrieval import progress
from search.retrieval.decoding import decode_apart
from search.retrieval.describe import Describer, Description
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.imaging import Picture
from search.retrieval.live import LiveSearcher
from search.retrieval.parameters import Parameters
from search.retrieval.records import Depth, Filters, Query, SearchAnswer
from search.retrieval.searcher import Searcher
from search.retrieval.snapshot import OtherDescriptors, Snapshot, SnapshotRefused, SnapshotStore
from search.retrieval.vector_store import VectorStore

log = logging.getLogger(__name__)

LOADING_SECONDS = 60
_TURN_SECONDS = 300
"""While another thread loads; that one is judged by itself."""


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

    So is another encoder: whatever describes marks uses it at once, and searches go on with the old one, where it is
    still there, until the snapshot made with the new one is.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._eyes: _Eyes | None = None
        self._before: _Eyes | None = None
        self._versions: dict[Path, str] = {}
        self._refusal = ""
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
        try:
            return self._searcher(self._current())
        except SnapshotRefused as refusal:
            raise Unavailable(str(refusal)) from None

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
        eyes, searcher = self._serving()
        start = time.perf_counter()
        pictures = [self._decoded(one.data) for one in asked]
        decoded = time.perf_counter()
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

    def loaded(self) -> Snapshot | None:
        """The snapshot that serves now, without looking for a newer one."""
        lives = [eyes.live for eyes in (self._eyes, self._before) if eyes is not None and eyes.live is not None]
        return next((live.loaded for live in lives if live.loaded), None)

    def status(self) -> dict[str, Any]:
        """What this worker serves, for the heartbeat. Cheap: reads what is loaded.

        snapshot: its id, or None. note: why that is not the live one. waits: why nothing is served.
        """
        snapshot = self.loaded()
        notes = [e.live.note for e in (self._eyes, self._before) if e is not None and e.live is not None]
        return {
            "snapshot": snapshot.id if snapshot else None,
            "note": next((note for note in notes if note), ""),
            "waits": "" if snapshot else self._refusal,
        }

    def look_again(self) -> None:
        """Read the live snapshot once more at the next search, though it was refused before."""
        with self._lock:
            for eyes in (self._eyes, self._before):
                if eyes is not None and eyes.live is not None:
                    eyes.live.again()

    def warm(self) -> None:
        """Load everything before the first search asks for it."""
        blank = np.full((64, 64, 3), 255, np.uint8)
        blank[16:48, 16:48] = 0
        self.describer.describe([blank])
        try:
            self.serving()
        except Unavailable as away:
            log.warning("%s", away)

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        with (
            progress.work(f"waiting for another thread's turn at {what}", limit=_TURN_SECONDS),
            self._lock,
            progress.work(what, limit=LOADING_SECONDS),
        ):
            yield

    def _current(self) -> _Eyes:
        """The weights in use, loaded when the pointer names others than before."""
        wanted = encoders.weights()
        with self._alone("loading the weights"):
            if self._eyes is None or self._eyes.weights != wanted:
                try:
                    self._before, self._eyes = self._eyes, _Eyes(wanted)
                except WeightsUnusable as missing:
                    raise Unavailable(str(missing)) from None
            return self._eyes

    def _searcher(self, eyes: _Eyes) -> Searcher:
        with self._alone("loading the snapshot"):
            if eyes.live is None:
                eyes.live = LiveSearcher(self.snapshots, descriptors_version=eyes.describer.version)
            return eyes.live.get()

    def _serving(self) -> tuple[_Eyes, Searcher]:
        """Weights and a snapshot that belong together: those in use, or until they have a snapshot those before."""
        try:
            eyes = self._current()
            found = self._fitting(eyes)
        except SnapshotRefused as refusal:
            self._refusal = str(refusal)
            raise Unavailable(self._refusal) from None
        except Unavailable as away:
            self._refusal = str(away)
            raise
        if found[0] is eyes:
            self._before = None
        return found

    def _fitting(self, eyes: _Eyes) -> tuple[_Eyes, Searcher]:
        try:
            return eyes, self._searcher(eyes)
        except SnapshotRefused as refusal:
            with self._alone("loading the snapshot before"):
                if self._before is None and isinstance(refusal, OtherDescriptors):
                    self._before = self._eyes_of_live()
                if self._before is None:
                    raise
                try:
                    return self._before, self._searcher(self._before)
                except SnapshotRefused:
                    raise refusal from None

    def _eyes_of_live(self) -> _Eyes | None:
        """The weights that the live snapshot was made with, where they are still here."""
        live = self.snapshots.current()
        wanted = self.snapshots.manifest(live)["descriptors_version"] if live else ""
        if self._eyes is not None:
            self._versions[self._eyes.weights] = self._eyes.describer.version
        for folder in encoders.all_weights():
            if self._versions.get(folder, wanted) != wanted:
                continue
            try:
                eyes = _Eyes(folder)
            except (WeightsUnusable, OSError, ValueError) as unusable:
                log.warning("%s", unusable)
                self._versions[folder] = ""
                continue
            self._versions[folder] = eyes.describer.version
            if eyes.describer.version == wanted:
                return eyes
        return None


engine = Engine()
