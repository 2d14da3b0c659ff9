"""A monotonic clock that a test moves."""

import time
from typing import Any

import pytest


class SteppedClock:
    """What `time.monotonic` says, everywhere in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", self)

    def __call__(self, *_: Any) -> float:
        return self.now
