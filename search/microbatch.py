"""Concurrent requests become one batch: on a GPU a batch of 16 costs hardly more than one image."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class MicroBatcher(Generic[Item, Answer]):
    """Runs `work` on whatever has gathered while the previous batch was at work.

    Nothing waits for company: an idle batcher starts at once, a busy one collects. If a batch fails, each of
    its items is tried alone, so that one bad item fails only itself.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Answer]], *, limit: int = 16) -> None:
        self._work = work
        self._limit = limit
        self._waiting: queue.Queue[tuple[Item, Future[Answer]]] = queue.Queue()
        threading.Thread(target=self._loop, name="microbatch", daemon=True).start()

    def __call__(self, item: Item) -> Answer:
        future: Future[Answer] = Future()
        self._waiting.put((item, future))
        return future.result()

    @property
    def waiting(self) -> int:
        """How many requests have gathered."""
        return self._waiting.qsize()

    def _loop(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while len(batch) < self._limit:
                try:
                    batch.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            self._run(batch)

    def _run(self, batch: list[tuple[Item, Future[Answer]]]) -> None:
        try:
            for (_, future), answer in zip(batch, self._work([item for item, _ in batch]), strict=True):
                future.set_result(answer)
        except Exception as error:  # noqa: BLE001  the error belongs to whoever asked
            if len(batch) == 1:
                batch[0][1].set_exception(error)
            else:
                for pair in batch:
                    self._run([pair])
