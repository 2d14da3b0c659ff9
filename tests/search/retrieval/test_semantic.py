import numpy as np
import pytest

from search.retrieval.descriptors.general import whole
from search.retrieval.descriptors.semantic import SemanticDescriptor, SemanticHead
from search.retrieval.descriptors.vector import VectorDescriptor
from search.retrieval.encoders import Seen, WeightsUnusable
from search.retrieval.normalise import normalise
from search.retrieval.whitening import Whitening
from tests.search.retrieval.pictures import pixels, ring, star

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


class Encoder:
    """Features are the mean grey of the upper and lower half; vectors the same the other way round."""

    name, version, dim = "halves", "e-1", 2

    def encode(self, images):
        return self.look(images).vectors

    def look(self, images, reader=None):
        assert reader is None
        grey = 255 - images[:, :, :, 0].astype(np.float32)
        half = grey.shape[1] // 2
        features = np.stack([grey[:, :half].mean(axis=(1, 2)), grey[:, half:].mean(axis=(1, 2))], axis=1)
        return Seen(features[:, ::-1], features)


def general(encoder, side=192):
    return VectorDescriptor(
        "general", whole, side, encoder, Whitening(np.zeros(2, np.float32), np.eye(2, dtype=np.float32))
    )


MARKS = [normalise(pixels(star())), normalise(np.full((60, 60, 3), 255, np.uint8)), normalise(pixels(ring()))]


def test_meaning_is_the_head_on_the_features():
    encoder = Encoder()
    meanings = SemanticDescriptor(general(encoder), head()).describe(MARKS)
    for row in (0, 2):
        features = encoder.look(whole(MARKS[row], 192)[None]).features
        np.testing.assert_allclose(meanings[row], head().apply(features)[0], rtol=1e-5)
    assert meanings[1] is None  # a blank mark means nothing


def test_a_head_for_another_side_is_refused(tmp_path):
    head().save(tmp_path / "semantic.safetensors")
    assert SemanticDescriptor.load(general(Encoder()), tmp_path / "semantic.safetensors").head.made_for == MADE_FOR
    with pytest.raises(WeightsUnusable, match="fitted at 192 px, not at 160 px"):
        SemanticDescriptor.load(general(Encoder(), side=160), tmp_path / "semantic.safetensors")
