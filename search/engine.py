"""The engine of this process: encoder and current snapshot, loaded on first use inside the worker."""

import logging
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings

from search.errors import Unavailable
from search.microbatch import MicroBatcher
from search.retrieval.describe import Describer, Description
from search.retrieval.descriptors.semantic import NAME as SEMANTIC
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.imaging import Picture, decode_picture
from search.retrieval.parameters import Parameters
from search.retrieval.records import Depth, Filters, SearchAnswer
from search.retrieval.searcher import LiveSearcher, Searcher
from search.retrieval.snapshot import Snapshot, SnapshotRefused, SnapshotStore
from search.retrieval.vector_store import VectorStore

log = logging.getLogger(__name__)


class Engine:
    """Lazy and thread-safe. A new snapshot is picked up by the next search; running ones finish on theirs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._describer: Describer | None = None
        self._batcher: MicroBatcher[Picture, Description] | None = None
        self._live: LiveSearcher | None = None
        self._stores: dict[tuple[Path, str], VectorStore] = {}

    @property
    def snapshots(self) -> SnapshotStore:
        return SnapshotStore(Path(settings.TM_DATA_DIR) / "snapshots")

    @property
    def vectors(self) -> VectorStore:
        """The described marks. Kept, since a store remembers which segments it has read already."""
        key = (Path(settings.TM_DATA_DIR) / "vectors", self.describer.version)
        return self._stores.setdefault(key, VectorStore(*key))

    @property
    def describer(self) -> Describer:
        with self._lock:
            if self._describer is None:
                try:
                    self._describer = Describer()
                except WeightsUnusable as missing:
                    raise Unavailable(str(missing)) from None
                self._batcher = MicroBatcher(self._describer.describe)
            return self._describer

    def describe_one(self, picture: Picture) -> Description:
        _ = self.describer
        assert self._batcher is not None  # noqa: S101  set together with the describer
        return self._batcher(picture)

    def searcher(self) -> Searcher:
        """The searcher of the current snapshot; raises Unavailable with a sentence when there is none."""
        version = self.describer.version
        with self._lock:
            if self._live is None:
                self._live = LiveSearcher(self.snapshots, descriptors_version=version)
            try:
                return self._live.get()
            except SnapshotRefused as refusal:
                raise Unavailable(str(refusal)) from None

    def search(
        self, data: bytes, parameters: Parameters, *, filters: Filters, depth: Depth, candidates: int, top: int
    ) -> tuple[SearchAnswer, Snapshot]:
        """Decode, describe, search. Returns the answer, timed by stage in ms, and the snapshot that served it."""
        start = time.perf_counter()
        picture = decode_picture(data)
        decoded = time.perf_counter()
        description = self.describe_one(picture)
        described = time.perf_counter()
        searcher = self.searcher()
        answer = searcher.search(description, parameters, filters=filters, depth=depth, candidates=candidates, top=top)
        stages = {"decode": (decoded - start) * 1000, "describe": (described - decoded) * 1000}
        meaning = description.vectors.get(SEMANTIC)
        return replace(answer, timings={**stages, **answer.timings}, meaning=meaning), searcher.snapshot

    def status(self) -> dict[str, Any]:
        """What this worker serves, for the heartbeat. Cheap: reads what is loaded."""
        return {"snapshot": self.snapshots.current() if self._live is not None else None}

    def warm(self) -> None:
        """Load everything before the first search asks for it."""
        blank = np.full((64, 64, 3), 255, np.uint8)
        blank[16:48, 16:48] = 0
        self.describer.describe([blank])
        try:
            self.searcher()
        except Unavailable as away:
            log.warning("%s", away)


engine = Engine()
