"""A little training data: drawn shapes in families. One thread for tensors this small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from search.training.dataset import ALONE, MARKS, TrainingMarks, write_index

SIDE = 64


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    # Small tensors lose more to the threads' meeting than they gain, above all on a busy machine.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def shape(kind: int, size: int) -> np.ndarray:
    """One of eight shapes, uint8 (SIDE, SIDE), black on white."""
    grey = np.full((SIDE, SIDE), 255, np.uint8)
    middle, low, high = SIDE // 2, SIDE // 2 - size, SIDE // 2 + size
    if kind == 0:
        cv2.circle(grey, (middle, middle), size, 0, -1)
    elif kind == 1:
        cv2.rectangle(grey, (low, low), (high, high), 0, -1)
    elif kind == 2:
        cv2.circle(grey, (middle, middle), size, 0, 4)
    elif kind == 3:
        cv2.line(grey, (low, low), (high, high), 0, 5)
    elif kind == 4:
        cv2.fillPoly(grey, [np.array([[middle, low], [high, high], [low, high]])], 0)
    elif kind == 5:
        cv2.rectangle(grey, (low, low), (high, high), 0, 3)
    elif kind == 6:
        cv2.line(grey, (low, middle), (high, middle), 0, 7)
        cv2.line(grey, (middle, low), (middle, high), 0, 7)
    else:
        cv2.ellipse(grey, (middle, middle), (size, size // 2), 0, 0, 360, 0, -1)
    return grey


@pytest.fixture
def training_data(tmp_path: Path) -> Path:
    """Eight families of three shapes, and four marks alone."""
    folder = tmp_path / "training"
    folder.mkdir()
    rows = [(shape(kind, 14 + 4 * size), kind) for kind in range(8) for size in range(3)]
    grey = np.stack([picture for picture, _ in rows] + [shape(kind, 28) for kind in range(4)])
    np.save(folder / MARKS, grey)
    families = [kind for _, kind in rows] + [ALONE] * 4
    kinds = ["family" if family < 4 else "brand" for family in families[:-4]] + ["alone"] * 4
    write_index(folder, [f"test:{i}" for i in range(len(grey))], families, kinds, {})
    return folder


@pytest.fixture
def marks(training_data: Path) -> TrainingMarks:
    return TrainingMarks.load(training_data)
