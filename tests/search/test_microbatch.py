"""Concurrent requests share a batch; one bad item fails alone."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from search.microbatch import MicroBatcher


def test_requests_that_wait_together_become_one_batch() -> None:
    sizes: list[int] = []
    busy, gate = threading.Event(), threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        busy.set()
        gate.wait(10)
        sizes.append(len(items))
        return [item * 2 for item in items]

    batcher = MicroBatcher(work, limit=8)
    with ThreadPoolExecutor(9) as pool:
        futures = [pool.submit(batcher, 0)]
        assert busy.wait(10)  # the first is at work alone, the others gather meanwhile
        futures += [pool.submit(batcher, n) for n in range(1, 9)]
        end = time.monotonic() + 10
        while batcher.waiting < 8 and time.monotonic() < end:
            time.sleep(0.001)
        gate.set()
        assert sorted(future.result(10) for future in futures) == [n * 2 for n in range(9)]
    assert sizes == [1, 8]


def test_a_bad_item_fails_alone() -> None:
    def work(items: Sequence[int]) -> list[float]:
        return [1 / item for item in items]

    batcher = MicroBatcher(work)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(batcher, n) for n in (1, 0, 2, 4)]
        with pytest.raises(ZeroDivisionError):
            futures[1].result()
        assert [futures[n].result() for n in (0, 2, 3)] == [1, 0.5, 0.25]
