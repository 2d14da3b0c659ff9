"""Training marks with the features that the real encoder gives them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from search.retrieval.encoders.trademark import SHIPPED
from search.training.dataset import ALONE, MARKS, TrainingMarks, write_index
from search.training.hashing.data import HashData
from search.training.hashing.features import HashFeatures, precompute
from tests.search.training.conftest import SIDE, shape

NAMES = ("red-arrow", "arrow-outline", "star", "shield", "moon-star", "cross", "wave", "leaf")
KEPT = 7


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight families of three shapes, the last kept from training, and two marks alone."""
    made = tmp_path_factory.mktemp("hash-data")
    grey = np.stack(
        [shape(kind, 14 + 4 * size) for kind in range(8) for size in range(3)]
        + [cv2.flip(shape(4, 25), code) for code in (0, -1)]
    )
    assert grey.shape[1] == SIDE
    np.save(made / MARKS, grey)
    families = [kind for kind in range(8) for _ in range(3)] + [ALONE] * 2
    kinds = ["kept" if family == KEPT else "family" for family in families[:-2]] + ["alone"] * 2
    names = [f"pack{i % 3}:{NAMES[family]}" for i, family in enumerate(families[:-2])] + ["p:leaf-blower", "p:x"]
    write_index(made, names, families, kinds, {"licences": {"MIT": 26}})
    return made


@pytest.fixture(scope="session")
def features(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> HashFeatures:
    if not SHIPPED.is_file():
        pytest.skip("the encoder's weights are not here")
    grey = TrainingMarks.load(folder).grey
    return precompute(grey, tmp_path_factory.mktemp("hash-features"), channels=6)


@pytest.fixture(scope="session")
def data(folder: Path, features: HashFeatures) -> HashData:
    return HashData.of(TrainingMarks.load(folder), features)
