#!/usr/bin/env python
"""What it costs to know that a snapshot is whole: reading every byte of it when it is loaded. JSON.

    .venv/bin/python benchmarks/integrity.py [--marks 100000]

The marks are random vectors of the shipped descriptors' sizes with three parts each; the files are in the page cache,
as they are when a new snapshot is picked up.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from search.retrieval.calibration import Calibration
from search.retrieval.clusters import fit_clusters
from search.retrieval.records import MarkRecord
from search.retrieval.snapshot import SnapshotStore
from search.retrieval.table import MarkTable

SIZES = {"general": 256, "edges": 256, "colour": 72, "texture": 128, "semantic": 384}
PARTS = 3


def unit(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    rows = rng.standard_normal((count, size), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def table(marks: int) -> MarkTable:
    rng = np.random.default_rng(0)
    return MarkTable(
        numbers=np.array([f"M{n:07}" for n in range(marks)], dtype=object),
        sizes=np.full((marks, 2), 256, np.int32),
        vectors={name: unit(rng, marks, size) for name, size in SIZES.items()},
        regions=unit(rng, PARTS * marks, SIZES["general"]).astype(np.float16),
        boxes=np.zeros((PARTS * marks, 4), np.int32),
        offsets=np.arange(0, PARTS * marks + 1, PARTS, dtype=np.int64),
    )


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """The shortest of some runs."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return round(min(took), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--marks", type=int, default=100_000)
    asked = parser.parse_args()
    marks = table(asked.marks)
    with tempfile.TemporaryDirectory() as folder:
        store = SnapshotStore(Path(folder))
        made = store.publish(
            records=marks,
            metadata=[MarkRecord(str(number)) for number in marks.numbers],
            calibration=Calibration(),
            descriptors_version="d",
            clusters=fit_clusters(marks.vectors["general"], k=21),
        )
        size = sum(stamp["bytes"] for stamp in store.manifest(made)["files"].values())
        found = {
            "marks": asked.marks,
            "bytes": size,
            "verify_s": seconds(lambda: store.verify(made)),
            "sizes_only_s": seconds(lambda: store.manifest(made)),
            "load_with_verification_s": seconds(lambda: store.open(made)),
        }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
