"""Features are those of the service, resumable, and refused when they are of something else."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from search.retrieval.hashing.heads import general_made_for
from search.retrieval.normalise import resized
from search.training.dataset import DatasetError, TrainingMarks
from search.training.hashing.features import HashFeatures, precompute
from tuning.evaluation.rows import EncodedMarks


def test_the_vectors_are_those_that_the_register_stores(folder: Path, features: HashFeatures) -> None:
    grey = TrainingMarks.load(folder).grey
    general = EncodedMarks().descriptor
    views = np.stack([resized(np.asarray(picture), general.side) for picture in grey])
    np.testing.assert_allclose(features.general.astype(np.float32), general.encode(views), atol=2e-3)
    assert dict(features.made_for) == general_made_for()
    assert features.maps.shape == (26, 6, 5, 5) and features.thumbs.shape == (26, 28, 28)
    np.testing.assert_array_equal(features.thumbs[3], cv2.resize(grey[3], (28, 28), interpolation=cv2.INTER_AREA))


def test_map_directions_are_centred_and_have_variance_one(features: HashFeatures) -> None:
    columns = features.maps.astype(np.float64).transpose(0, 2, 3, 1).reshape(-1, 6)
    np.testing.assert_allclose(columns.mean(axis=0), 0, atol=0.01)
    np.testing.assert_allclose(np.cov(columns, rowvar=False), np.eye(6), atol=0.02)


def test_what_is_there_is_not_computed_again_and_other_marks_reuse_the_directions(
    folder: Path, features: HashFeatures, tmp_path: Path
) -> None:
    grey = TrainingMarks.load(folder).grey
    first = precompute(grey[:4], tmp_path / "a", channels=6)
    stamp = (tmp_path / "a" / "maps.npy").stat().st_mtime_ns
    seen: list[int] = []
    precompute(grey[:4], tmp_path / "a", channels=6, done=seen.append)
    assert seen == [4] and (tmp_path / "a" / "maps.npy").stat().st_mtime_ns == stamp
    other = precompute(grey[4:6], tmp_path / "b", basis=tmp_path / "a", channels=6)
    with np.load(tmp_path / "a" / "basis.npz") as ours, np.load(tmp_path / "b" / "basis.npz") as theirs:
        np.testing.assert_array_equal(ours["matrix"], theirs["matrix"])
    np.testing.assert_allclose(other.general.astype(float), features.general[4:6].astype(float), atol=2e-3)
    assert len(first) == 4


def test_missing_or_torn_features_are_a_sentence(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"manage\.py train_hash"):
        HashFeatures.load(tmp_path)
    made = tmp_path / "made"
    precompute(TrainingMarks.load(folder).grey[:3], made, channels=2)
    np.save(made / "general.npy", np.zeros((2, 256), np.float16))
    with pytest.raises(DatasetError, match="do not belong together"):
        HashFeatures.load(made)


def test_a_run_that_was_stopped_goes_on(
    folder: Path, features: HashFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = TrainingMarks.load(folder).grey
    monkeypatch.setattr("search.training.hashing.features._CHUNK", 8)

    def stop(count: int) -> None:
        if count and json.loads((tmp_path / "progress.json").read_text())["done"] == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        precompute(grey, tmp_path, channels=6, done=stop)
    seen: list[int] = []
    made = precompute(grey, tmp_path, channels=6, done=seen.append)
    assert seen == [16, 8, 2]
    # Batches of another size differ in the last digits.
    np.testing.assert_allclose(made.general.astype(float), features.general.astype(float), atol=1e-3)
