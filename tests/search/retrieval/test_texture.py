import numpy as np
import pytest
import torch

from search.retrieval.descriptors.general import whole
from search.retrieval.descriptors.texture import TextureDescriptor, TextureWeights, made_for, pattern_rows, patterns
from search.retrieval.descriptors.vector import VectorDescriptor
from search.retrieval.encoders import Seen, WeightsUnusable
from search.retrieval.normalise import normalise
from search.retrieval.whitening import Whitening
from tests.search.retrieval.pictures import pixels, ring, star

BLANK = np.full((60, 60, 3), 255, np.uint8)
MARKS = [normalise(picture) for picture in (pixels(star()), BLANK, pixels(ring()))]


class Encoder:
    """Its maps are the picture itself and its negative. Counts passes."""

    name, dim = "mirror", 3
    passes = 0

    def __init__(self, version="e-1"):
        self.version = version

    def encode(self, images):
        return self.look(images).vectors

    def look(self, images, reader=None):
        self.passes += 1
        grey = torch.from_numpy(images[:, None, :, :, 0].astype(np.float32))
        vectors = images.reshape(len(images), -1, 3).mean(1) + np.arange(3)
        read = None if reader is None else reader(torch.cat([grey, -grey], 1)).numpy()
        return Seen(vectors.astype(np.float32), vectors, read)


def general(encoder, side=64):
    return VectorDescriptor(
        "general", whole, side, encoder, Whitening(np.zeros(3, np.float32), np.eye(3, dtype=np.float32))
    )


@pytest.fixture
def weights():
    rng = np.random.default_rng(0)
    return TextureWeights.fit(rng.random((200, 4 * 59), np.float32), made_for(general(Encoder())))


def test_the_vector_is_the_whitened_root_of_the_shares(weights):
    encoder = Encoder()
    star_, blank, ring_ = TextureDescriptor(general(encoder), weights).describe(MARKS)
    assert encoder.passes == 1 and blank is None
    view = whole(MARKS[2], 64)[None, None, :, :, 0].astype(np.float32)
    read = patterns(torch.from_numpy(np.concatenate([view, -view], 1))).numpy()
    np.testing.assert_allclose((read.reshape(4, 59) ** 2).sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(ring_, weights.pca.apply(read)[0], atol=1e-5)
    assert ring_.dtype == np.float32 and np.linalg.norm(star_) == pytest.approx(1, abs=1e-5)


def test_rows_to_fit_on_are_what_is_described(weights):
    rows = pattern_rows(general(Encoder()), iter(MARKS * 7))
    assert rows.shape == (21, 4 * 59)
    described = TextureDescriptor(general(Encoder()), weights).describe(MARKS[:1])[0]
    np.testing.assert_allclose(weights.pca.apply(rows[18:19])[0], described, atol=1e-5)


def test_an_encoder_that_shows_no_maps_ends_in_a_sentence(weights):
    class Plain:
        name, version, dim = "plain", "e-1", 3
        encode = staticmethod(Encoder().encode)

    with pytest.raises(WeightsUnusable, match="plain shows no maps"):
        pattern_rows(general(Plain()), MARKS)
    with pytest.raises(WeightsUnusable, match="plain shows no maps"):
        TextureDescriptor(general(Plain()), weights).describe(MARKS)


def test_saved_weights_give_the_same_vectors(weights, tmp_path):
    path = tmp_path / "texture.safetensors"
    weights.save(path)
    loaded = TextureDescriptor.load(general(Encoder()), path)
    before, after = (TextureDescriptor(general(Encoder()), w).describe(MARKS[:1])[0] for w in (weights, loaded.weights))
    np.testing.assert_array_equal(before, after)
    assert loaded.version == TextureDescriptor(general(Encoder()), weights).version


def test_weights_for_another_encoder_or_side_are_refused(weights, tmp_path):
    path = tmp_path / "texture.safetensors"
    weights.save(path)
    with pytest.raises(WeightsUnusable, match="fitted on the encoder e-1 at 64 px, not on e-2 at 64 px, so it is off"):
        TextureDescriptor.load(general(Encoder("e-2")), path)
    with pytest.raises(WeightsUnusable, match="not on e-1 at 160 px"):
        TextureDescriptor.load(general(Encoder(), side=160), path)


def test_missing_and_damaged_weights_end_in_a_sentence(tmp_path):
    path = tmp_path / "texture.safetensors"
    with pytest.raises(WeightsUnusable, match="missing, so it is off"):
        TextureDescriptor.load(general(Encoder()), path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsUnusable, match="damaged"):
        TextureDescriptor.load(general(Encoder()), path)


def test_the_version_changes_with_any_number_and_with_what_it_is_for(weights):
    other = TextureWeights(Whitening(weights.pca.mean + 0.1, weights.pca.matrix), weights.made_for)
    elsewhere = TextureWeights(weights.pca, {**weights.made_for, "side": "65"})
    assert len({weights.version, other.version, elsewhere.version}) == 3
