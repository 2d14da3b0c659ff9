"""Which snapshot serves: the live one, or where that is damaged the newest that is whole."""

from __future__ import annotations

import time

from search.retrieval.device import device_name
from search.retrieval.searcher import Searcher
from search.retrieval.snapshot import OtherDescriptors, Snapshot, SnapshotRefused, SnapshotStore

_REFUSED_SECONDS = 10.0
"""How long a refusal holds before the files are looked at again."""


class LiveSearcher:
    """The searcher of the live snapshot: picks a new one up between two searches, without a restart.

    Where the live snapshot is damaged or lost, the newest whole one serves instead, and `note` says so.
    """

    def __init__(
        self,
        store: SnapshotStore,
        *,
        descriptors_version: str,
        gpu: bool | None = None,
    ) -> None:
        """gpu: whether indexes go to the GPU; None asks `device_name`, as the encoder does."""
        self._store = store
        self._version = descriptors_version
        self._gpu = gpu
        self._searcher: Searcher | None = None
        self._asked: str | None = None
        self._refusal: SnapshotRefused | None = None
        self._refused_until = 0.0
        self.note = ""
        """Why what serves is not the live snapshot, as a sentence; "" while it is."""

    @property
    def loaded(self) -> Snapshot | None:
        """What serves now, without looking whether there is something newer."""
        return None if self._searcher is None else self._searcher.snapshot

    def get(self) -> Searcher:
        """Raises SnapshotRefused when there is no snapshot, or none this service can use."""
        live = self._store.current()
        if live == self._asked:
            if self._searcher is not None:
                return self._searcher
            if self._refusal is not None and time.monotonic() < self._refused_until:
                raise type(self._refusal)(str(self._refusal))
        self._asked = live
        self._refusal = None
        try:
            self._searcher, self.note = self._opened(live)
        except SnapshotRefused as refusal:
            # Reading a damaged snapshot again for every search that waits would take the time of those that do not.
            self._refusal, self._refused_until = refusal, time.monotonic() + _REFUSED_SECONDS
            raise
        return self._searcher

    def again(self) -> None:
        """Look at the live snapshot once more at the next search, though it was refused."""
        self._asked = None
        self._refused_until = 0.0

    def _opened(self, live: str | None) -> tuple[Searcher, str]:
        try:
            if live is None:
                raise SnapshotRefused("There is no index snapshot yet; build one with `python manage.py snapshot`.")
            if self._searcher is not None and self._searcher.snapshot.id == live:
                return self._searcher, ""
            return self._open(live), ""
        except OtherDescriptors:
            self._searcher = None
            raise
        except SnapshotRefused as refusal:
            found = self._stand_in()
            if found is None:
                raise
            why = str(refusal) if live else "The pointer to the live snapshot is lost."
            return found, f"{why} Snapshot {found.snapshot.id} serves instead."

    def _stand_in(self) -> Searcher | None:
        """The newest whole snapshot of these descriptors; the loaded one is whole, whatever became of its files."""
        loaded = self._searcher
        for name in self._store.stand_ins(self._version):
            if loaded is not None and name <= loaded.snapshot.id:
                break
            try:
                return self._open(name)
            except SnapshotRefused:
                continue
        return loaded

    def _open(self, name: str) -> Searcher:
        gpu = device_name() != "cpu" if self._gpu is None else self._gpu
        return Searcher(self._store.open(name, descriptors_version=self._version, gpu=gpu))
