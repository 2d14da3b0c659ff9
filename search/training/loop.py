"""What every training run does: batches drawn ahead, a report after each step, checkpoints that are whole."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from search.retrieval.durable import whole_file

CHECKPOINT = "checkpoint.pt"

Report = Callable[[int, Mapping[str, float]], None]
"""Called after each step with the number of steps done and figures: the loss, its parts, seconds."""

B = TypeVar("B")


@dataclass(frozen=True)
class Drawn:
    """Marks drawn for a batch. rows: (n,) into the data; families: (n,) labels."""

    rows: NDArray[np.int64]
    families: NDArray[np.int64]


class TrainingRun(ABC, Generic[B]):
    """A run of `steps` steps under the name of its recipe. step: steps done."""

    step: int = 0
    ahead: Drawn | None = None

    def __init__(self, name: str, steps: int, device: str) -> None:
        self.name, self.steps, self.device = name, steps, torch.device(device)

    @abstractmethod
    def draw(self, step: int) -> Drawn:
        """Which marks come at a step; may look at what has been learnt. Chance hangs on seed and step alone."""

    @abstractmethod
    def batch(self, step: int, drawn: Drawn) -> B:
        """The augmented pictures of these marks: made in another thread, while the step before is trained."""

    @abstractmethod
    def train(self, batch: B) -> dict[str, float]:
        """One step; its figures."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs, as tensors and plain values."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`."""

    def run(self, folder: Path, *, report: Report, every: int = 50, until: int | None = None) -> None:
        """Train to the end (or to step `until`), writing a checkpoint into `folder` every so many steps."""
        last = min(self.steps, until or self.steps)
        with ThreadPoolExecutor(1) as pool:
            # What is drawn ahead is part of a checkpoint: a resumed run must not draw it anew from a later state.
            self.ahead = self.ahead or self.draw(self.step)
            coming: Future[B] = pool.submit(self.batch, self.step, self.ahead)
            while self.step < last:
                start = time.perf_counter()
                batch = coming.result()
                self.ahead = self.draw(self.step + 1)
                coming = pool.submit(self.batch, self.step + 1, self.ahead)
                figures = self.train(batch)
                report(self.step, {**figures, "seconds": time.perf_counter() - start})
                if self.step % every == 0 or self.step == last:
                    self.save(folder)

    def save(self, folder: Path) -> None:
        """Write the checkpoint: one that is there is whole."""
        ahead = (
            None if self.ahead is None else (torch.from_numpy(self.ahead.rows), torch.from_numpy(self.ahead.families))
        )
        head = {"recipe": self.name, "steps": self.steps, "step": self.step, "ahead": ahead}
        with whole_file(folder / CHECKPOINT) as hidden:
            torch.save({**head, **self.state()}, hidden)

    def load(self, folder: Path) -> bool:
        """Go on from a checkpoint; False when there is none. ValueError when it is of another recipe."""
        path = folder / CHECKPOINT
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        if (state["recipe"], state["steps"]) != (self.name, self.steps):
            raise ValueError(f"The checkpoint in {folder} is of recipe {state['recipe']!r}; give another --out.")
        self.step = int(state["step"])
        if state["ahead"] is not None:
            self.ahead = Drawn(*(part.cpu().numpy() for part in state["ahead"]))
        self.restore(state)
        return True
