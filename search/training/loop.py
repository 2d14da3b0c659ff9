"""What every training run does: batches drawn ahead, a report after each step, checkpoints that are whole."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import multiprocessing

from search.retrieval.durable import whole_file

CHECKPOINT = "checkpoint.pt"
_LAYOUT = 2
"""Of a checkpoint; one with another layout is not gone on with."""

log = logging.getLogger(__name__)

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
    ahead: tuple[Drawn, ...] = ()

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

    def run(self, folder: Path, *, report: Report, every: int = 50, until: int | None = None, workers: int = 0) -> None:
        """Train to the end (or to step `until`), writing a checkpoint into `folder` every so many steps.

        workers: processes that make the batches, two drawn ahead for each; 0 makes them in a thread, one ahead.
        """
        last = min(self.steps, until or self.steps)
        with self._makers(workers) as make:
            # What is drawn ahead is part of a checkpoint: a resumed run must not draw it anew from a later state.
            drawn = deque(self.ahead or [self.draw(self.step)])
            coming = deque(make(self.step + i, one) for i, one in enumerate(drawn))
            while self.step < last:
                start = time.perf_counter()
                while len(drawn) <= max(1, 2 * workers):
                    at = self.step + len(drawn)
                    drawn.append(self.draw(at))
                    coming.append(make(at, drawn[-1]))
                batch = coming.popleft()()
                drawn.popleft()
                waited = time.perf_counter() - start
                figures = self.train(batch)
                self.ahead = tuple(drawn)
                report(self.step, {**figures, "seconds": time.perf_counter() - start, "waited": waited})
                if self.step % every == 0 or self.step == last:
                    self.save(folder)

    @contextmanager
    def _makers(self, workers: int) -> Iterator[Callable[[int, Drawn], Callable[[], B]]]:
        """A function that begins to make a batch and gives the function that waits for it."""
        if not workers:
            with ThreadPoolExecutor(1) as pool:
                yield lambda step, drawn: pool.submit(self.batch, step, drawn).result
            return
        # Forked, the workers see the marks without a copy; a tensor comes back through shared memory.
        with multiprocessing.get_context("fork").Pool(workers, _in_worker, (self,)) as processes:
            yield lambda step, drawn: processes.apply_async(_batch_of, (step, drawn)).get

    def save(self, folder: Path) -> None:
        """Write the checkpoint: one that is there is whole."""
        ahead = [(torch.from_numpy(one.rows), torch.from_numpy(one.families)) for one in self.ahead]
        head = {"recipe": self.name, "steps": self.steps, "step": self.step, "ahead": ahead, "layout": _LAYOUT}
        with whole_file(folder / CHECKPOINT) as hidden:
            torch.save({**head, **self.state()}, hidden)

    def load(self, folder: Path) -> bool:
        """Go on from a checkpoint; False when there is none, or one of an older version, which cannot be gone on with.
        ValueError when it is of another recipe."""
        path = folder / CHECKPOINT
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        if (state["recipe"], state["steps"]) != (self.name, self.steps):
            raise ValueError(f"The checkpoint in {folder} is of recipe {state['recipe']!r}; give another --out.")
        if state.get("layout") != _LAYOUT:
            log.warning("The checkpoint in %s is of an older version; the run begins anew.", folder)
            return False
        self.step = int(state["step"])
        self.ahead = tuple(Drawn(*(part.cpu().numpy() for part in one)) for one in state["ahead"])
        self.restore(state)
        return True


_worked_for: list[TrainingRun[Any]] = []
"""In a worker: the run that it makes batches for."""


def _in_worker(run: TrainingRun[Any]) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    _worked_for.append(run)


def _batch_of(step: int, drawn: Drawn) -> Any:
    return _worked_for[-1].batch(step, drawn)
