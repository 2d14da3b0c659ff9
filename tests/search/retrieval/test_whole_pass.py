import numpy as np
import pytest

from search.retrieval.descriptors.general import whole
from search.retrieval.descriptors.vector import VectorDescriptor
from search.retrieval.descriptors.whole_pass import WholePass
from search.retrieval.encoders import Seen, look
from search.retrieval.normalise import normalise
from search.retrieval.whitening import Whitening
from tests.search.retrieval.pictures import pixels, ring, star

MARKS = [normalise(picture) for picture in (pixels(star()), np.full((60, 60, 3), 255, np.uint8), pixels(ring()))]


class Encoder:
    """Vectors: mean grey of the halves; features twice that; a reader is given the number of images. Counts passes."""

    name, version, dim = "halves", "e-1", 2
    passes = 0

    def encode(self, images):
        return self.look(images).vectors

    def look(self, images, reader=None):
        self.passes += 1
        grey = 256 - images[..., 0].astype(np.float32)
        half = grey.shape[1] // 2
        vectors = np.stack([grey[:, :half].mean((1, 2)), grey[:, half:].mean((1, 2))], 1)
        return Seen(vectors, 2 * vectors, None if reader is None else reader(len(images)))


class Companion:
    def __init__(self, name, reader=None):
        self.name, self.version, self.reader = name, "1", reader

    def vectors_of(self, seen):
        return seen.features if self.reader is None else seen.read


def reading(count):
    return np.arange(count, dtype=np.float32)[:, None]


def general(encoder):
    return VectorDescriptor("general", whole, 64, encoder, Whitening(np.zeros(2, np.float32), np.eye(2, dtype="f4")))


def test_all_columns_come_from_one_pass_and_a_blank_mark_has_only_a_general():
    encoder = Encoder()
    columns = WholePass(general(encoder), (Companion("double"), Companion("read", reading))).describe(MARKS)
    assert encoder.passes == 1 and list(columns) == ["general", "double", "read"]
    apart = general(encoder).describe(MARKS)
    for got, expected in zip(columns["general"], apart, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert columns["double"][1] is None and columns["read"][1] is None
    np.testing.assert_allclose(columns["double"][2], 2 * encoder.encode(whole(MARKS[2], 64)[None])[0], rtol=1e-6)
    assert columns["read"][2] == [2]


def test_no_marks_make_no_pass():
    encoder = Encoder()
    assert WholePass(general(encoder), (Companion("double"),)).describe([]) == {"general": [], "double": []}
    assert encoder.passes == 0


def test_a_pass_has_one_reader():
    with pytest.raises(ValueError, match="one descriptor only"):
        WholePass(general(Encoder()), (Companion("a", reading), Companion("b", reading))).describe(MARKS)


def test_an_encoder_that_shows_nothing_gives_its_vectors_for_features():
    class Plain:
        name, version, dim = "plain", "e-1", 2
        encode = staticmethod(Encoder().encode)

    seen = look(Plain(), whole(MARKS[0], 64)[None], reading)
    np.testing.assert_array_equal(seen.features, seen.vectors)
    assert seen.read is None
