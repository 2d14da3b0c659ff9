import numpy as np
import pytest

from search.retrieval.descriptors.semantic import SemanticHead
from search.retrieval.encoders import WeightsUnusable

MADE_FOR = {"encoder": "e-1", "side": "192", "sentences": "s-1"}


def head(**changed):
    parts = {
        "mean": np.array([0.6, 0.0], np.float32),
        "scale": np.array([1.0, 2.0], np.float32),
        "inner_weight": np.array([[0.0, 1.0], [0.0, -1.0]], np.float32),
        "inner_bias": np.zeros(2, np.float32),
        "outer_weight": np.array([[0.0, 0.0], [1.0, 0.0]], np.float32),
        "outer_bias": np.array([1.0, 0.0], np.float32),
        "skip_weight": np.array([[0.0, 0.0], [0.0, 0.5]], np.float32),
    }
    return SemanticHead({**parts, **changed}, MADE_FOR)


def test_the_head_is_a_linear_map_plus_one_hidden_layer():
    # unit([3, 4]) = [.6, .8]; x = [0, 1.6]; inner = relu([1.6, -1.6]) = [1.6, 0]; y ~ [1, .5 * 1.6 + 1.6] = [1, 2.4]
    made = head().apply(np.array([[3.0, 4.0]], np.float32))
    np.testing.assert_allclose(made, [[1 / 2.6, 2.4 / 2.6]], rtol=1e-6)
    assert made.dtype == np.float32


def test_a_mark_without_features_has_no_meaning():
    assert not head().apply(np.zeros((1, 2), np.float32)).any()


def test_a_saved_head_gives_the_same_vectors(tmp_path):
    head().save(tmp_path / "semantic.safetensors")
    loaded = SemanticHead.load(tmp_path / "semantic.safetensors", encoder="e-1")
    features = np.random.default_rng(0).random((5, 2), np.float32)
    assert (loaded.apply(features) * head().apply(features)).sum(axis=1).min() > 0.9999
    assert loaded.made_for == MADE_FOR and loaded.dim == 2


def test_the_version_changes_with_any_number():
    assert head().version != head(outer_bias=np.array([1.0, 0.1], np.float32)).version
    assert head().version == head().version


def test_a_head_for_another_encoder_is_refused(tmp_path):
    head().save(tmp_path / "semantic.safetensors")
    with pytest.raises(WeightsUnusable, match="fitted on the encoder e-1, not on e-2"):
        SemanticHead.load(tmp_path / "semantic.safetensors", encoder="e-2")


def test_missing_and_damaged_heads_end_in_a_sentence(tmp_path):
    with pytest.raises(WeightsUnusable, match="missing, so searching by words is off"):
        SemanticHead.load(tmp_path / "semantic.safetensors")
    (tmp_path / "semantic.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsUnusable, match="damaged"):
        SemanticHead.load(tmp_path / "semantic.safetensors")
