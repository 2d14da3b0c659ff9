"""The real encoder on drawn marks: what a copyist does must not hide a mark."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from search.retrieval.describe import WEIGHTS, Describer
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.descriptors.texture import FILE as TEXTURE
from search.retrieval.descriptors.texture import TextureWeights
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.imaging import Picture, decode_picture
from search.retrieval.normalise import normalise
from search.retrieval.similarity import similarity_matrix
from tests.search.retrieval.pictures import encoded, pixels, ring, star, star_beside_bars


@pytest.fixture(scope="module")
def describer() -> Describer:
    return Describer()


def cosines(describer: Describer, a: Image.Image, b: Image.Image) -> dict[str, float]:
    one, two = describer.describe([pixels(a), pixels(b)])
    return dict(zip(DESCRIPTORS, similarity_matrix([one], [two])[0, 0].tolist(), strict=True))


def test_vectors_are_unit_and_named(describer: Describer) -> None:
    described = describer.describe([pixels(star()), pixels(star_beside_bars())])
    assert describer.names == DESCRIPTORS
    for description, size in zip(described, [(200, 200), (420, 200)], strict=True):
        assert set(description.vectors) == {"general", "edges", "texture", "semantic"}
        for vector in description.vectors.values():
            assert vector.dtype == np.float32 and np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)
        assert description.size == size
        assert len(description.regions) == len(description.boxes)
        np.testing.assert_allclose(np.linalg.norm(description.regions, axis=1), 1, atol=1e-4)


def test_inverted_and_padded_mark_matches_itself(describer: Describer) -> None:
    copied = ImageOps.expand(ImageOps.invert(star()), (90, 20, 30, 60), fill="black")
    got = cosines(describer, star(), copied)
    assert got["general"] >= 0.95 and got["objects"] >= 0.95
    assert cosines(describer, star(), ring())["general"] < 0.6


def test_a_mark_inside_a_longer_one_is_found_by_its_part(describer: Describer) -> None:
    got = cosines(describer, star(), star_beside_bars())
    assert got["objects"] > got["general"] + 0.15
    assert got["objects"] > cosines(describer, ring(), star_beside_bars())["objects"]


def test_boxes_lie_in_the_original_image(describer: Describer) -> None:
    big = star_beside_bars().resize((4200, 2000))
    picture = decode_picture(encoded(big))
    assert picture.pixels.shape[1] < 4200
    description = describer.describe([picture])[0]
    assert description.size == (4200, 2000)
    boxes = description.boxes
    assert boxes[:, [0, 2]].max() <= 4200 and boxes[:, [1, 3]].max() <= 2000 and boxes[:, 2].max() > 1024
    small = describer.describe([pixels(star_beside_bars())])[0].boxes
    np.testing.assert_allclose(boxes / 10, small, atol=4)


def test_a_blank_image_has_no_edges_and_no_parts_but_is_no_error(describer: Describer) -> None:
    description = describer.describe([np.full((40, 60, 3), 200, np.uint8)])[0]
    assert set(description.vectors) == {"general"} and len(description.regions) == 0


def test_colour_is_described_apart_from_the_shape(describer: Describer) -> None:
    red = Image.fromarray(np.where(pixels(star()) < 128, [[[200, 20, 30]]], 255).astype(np.uint8))
    round_ = Image.fromarray(np.where(pixels(ring()) < 128, [[[200, 20, 30]]], 255).astype(np.uint8))
    assert cosines(describer, red, round_)["colour"] > 0.99
    assert np.isnan(cosines(describer, red, star())["colour"])
    assert cosines(describer, red, star())["general"] > 0.95


@pytest.mark.parametrize("threads", [1, 3])
def test_company_does_not_change_a_description(
    describer: Describer, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    images = [pixels(star()), np.full((40, 60, 3), 255, np.uint8), pixels(ring()), pixels(star_beside_bars())]
    with monkeypatch.context() as spread, ThreadPoolExecutor(threads) as pool:
        spread.setattr(describer, "_threads", threads)
        spread.setattr(describer, "_pool", pool)
        together = describer.describe(images)
    for image, expected in zip(images, together, strict=True):
        alone = describer.describe([image])[0]
        assert alone.vectors.keys() == expected.vectors.keys()
        for name, vector in alone.vectors.items():
            np.testing.assert_allclose(vector, expected.vectors[name], atol=2e-3)
        np.testing.assert_array_equal(alone.boxes, expected.boxes)
        np.testing.assert_allclose(alone.regions, expected.regions, atol=2e-3)


def test_arrays_and_pictures_are_taken_alike(describer: Describer) -> None:
    array = pixels(star())
    a, b = describer.describe([array, Picture(array, 200, 200)])
    np.testing.assert_allclose(a.vectors["general"], b.vectors["general"], atol=1e-5)


def test_no_images_give_no_descriptions(describer: Describer) -> None:
    assert describer.describe([]) == []


def test_thin_lines_and_tiny_and_oblong_marks_are_described(describer: Describer) -> None:
    thin = Image.new("RGB", (300, 300), "white")
    ImageDraw.Draw(thin).line((10, 10, 290, 280), fill="black")
    for image in (thin, Image.new("RGB", (8, 8), "red"), star().resize((900, 9)), star().resize((9, 900))):
        assert "general" in describer.describe([pixels(image)])[0].vectors


def test_a_descriptor_without_weights_is_off_and_changes_the_version(describer: Describer, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnusable, match="encoder"):
        Describer(weights=tmp_path)
    for suffix in ("safetensors", "json"):
        shutil.copy(WEIGHTS / f"encoder.{suffix}", tmp_path)
    with pytest.raises(WeightsUnusable, match="general"):
        Describer(weights=tmp_path)
    shutil.copy(WEIGHTS / "general.npz", tmp_path)
    without = Describer(weights=tmp_path)
    assert without.names == ("general", "objects", "colour")
    assert set(without.describe([pixels(star())])[0].vectors) == {"general"}
    assert without.version != describer.version == Describer().version


def test_texture_and_meaning_take_the_pass_that_general_makes(describer: Describer, monkeypatch) -> None:
    sides = []
    encoder, look = describer.whole.encoder, describer.whole.encoder.look
    monkeypatch.setattr(
        encoder,
        "look",
        lambda images, reader=None: sides.extend([images.shape[1]] * len(images)) or look(images, reader),
    )
    marks = [pixels(star()), pixels(ring())]
    together = describer.describe(marks)
    assert sides.count(160) == 2 * len(marks)  # the whole mark and its edges; parts are looked at smaller
    for name in ("texture", "semantic"):
        alone = describer.components[name].describe([normalise(image) for image in marks])
        for description, vector in zip(together, alone, strict=True):
            np.testing.assert_allclose(description.vectors[name], vector, atol=1e-5)


def test_weights_made_for_another_encoder_switch_their_descriptor_off(
    describer: Describer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = shutil.copytree(WEIGHTS, tmp_path / "weights")
    shipped = describer.components["texture"].weights
    TextureWeights(shipped.pca, {**shipped.made_for, "encoder": "another"}).save(weights / TEXTURE)
    with caplog.at_level("INFO"):
        without = Describer(weights=weights)
    assert without.names == tuple(name for name in DESCRIPTORS if name != "texture")
    assert "fitted on the encoder another" in caplog.text
    assert "texture" not in without.describe([pixels(star())])[0].vectors
