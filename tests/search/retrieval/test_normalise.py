import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from search.retrieval.imaging import decode_picture
from search.retrieval.normalise import SIDE, normalise, resized
from tests.search.retrieval.pictures import encoded, pixels, star


def difference(a: Image.Image, b: Image.Image) -> float:
    """Mean absolute grey difference of the normalised marks."""
    return float(np.abs(normalise(pixels(a)).grey.astype(int) - normalise(pixels(b)).grey).mean())


def test_reversed_contrast_gives_nearly_the_same_picture() -> None:
    assert difference(star(), ImageOps.invert(star())) < 1
    assert normalise(pixels(ImageOps.invert(star()))).inverted
    assert not normalise(pixels(star())).inverted


@pytest.mark.parametrize("fill", ["white", "black"])
def test_margins_do_not_matter(fill: str) -> None:
    mark = star() if fill == "white" else ImageOps.invert(star())
    padded = ImageOps.expand(mark, (300, 40, 10, 90), fill=fill)
    assert difference(mark, padded) < 2


def test_colours_do_not_matter() -> None:
    yellow = Image.fromarray(np.where(pixels(star()) < 128, [[[250, 200, 0]]], 255).astype(np.uint8))
    navy = Image.fromarray(np.where(pixels(star()) < 128, [[[240, 240, 255]]], [[[10, 20, 80]]]).astype(np.uint8))
    assert difference(star(), yellow) < 2
    assert difference(star(), navy) < 3


def test_other_marks_stay_different() -> None:
    assert difference(star(), ImageOps.flip(star().resize((200, 120)))) > 15


def test_grainy_paper_is_trimmed_like_clean_paper() -> None:
    noise = np.random.default_rng(0).integers(-8, 9, (200, 200, 1))
    grainy = Image.fromarray(np.clip(pixels(star()).astype(int) + noise, 0, 255).astype(np.uint8))
    assert difference(star(), grainy) < 6


def test_square_keeps_the_proportions() -> None:
    bar = Image.new("RGB", (400, 300), "white")
    bar.paste((0, 0, 0), (100, 100, 300, 150))
    rows, columns = np.where(normalise(pixels(bar)).grey < 128)
    assert (np.ptp(columns) + 1) / (np.ptp(rows) + 1) == pytest.approx(4, rel=0.03)


def test_boxes_map_back_to_the_original() -> None:
    image = Image.new("RGB", (640, 480), "white")
    image.paste((0, 0, 0), (100, 50, 260, 130))
    image.paste((0, 0, 0), (400, 300, 460, 420))
    mark = normalise(pixels(image))
    count, _, stats, _ = cv2.connectedComponentsWithStats((mark.grey < 128).astype(np.uint8))
    assert count == 3
    found = np.stack([stats[1:, 0], stats[1:, 1], stats[1:, 0] + stats[1:, 2], stats[1:, 1] + stats[1:, 3]], 1)
    expected = [[100, 50, 260, 130], [400, 300, 460, 420]]
    np.testing.assert_allclose(sorted(mark.to_original(found).tolist()), expected, atol=3)


def test_boxes_of_a_reduced_picture_are_in_the_originals_pixels() -> None:
    image = Image.new("RGB", (4000, 3000), "white")
    image.paste((0, 0, 0), (1000, 500, 3000, 2500))
    mark = normalise(decode_picture(encoded(image)))
    whole = mark.to_original(np.array([[0, 0, SIDE, SIDE]]))[0]
    rows, columns = np.where(mark.grey < 128)
    ink = mark.to_original(np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]))[0]
    np.testing.assert_allclose(ink, [1000, 500, 3000, 2500], atol=20)
    assert whole[0] >= 0 and whole[2] <= 4000 and whole[3] <= 3000


def test_boxes_never_leave_the_image_or_collapse() -> None:
    mark = normalise(pixels(star()))
    got = mark.to_original(np.array([[-50, -50, -40, -40], [250, 250, 900, 900]]))
    assert np.all(got[:, :2] >= 0) and np.all(got[:, 2:] <= 200) and np.all(got[:, 2:] > got[:, :2])


@pytest.mark.parametrize("level", [0, 127, 128, 255])
def test_a_single_colour_is_blank_but_no_error(level: int) -> None:
    mark = normalise(np.full((50, 80, 3), level, np.uint8))
    assert mark.blank and mark.grey.min() > 200


def test_encoder_input_has_the_size_asked_for() -> None:
    grey = normalise(pixels(star())).grey
    for side in (128, 192, 256, 320):
        assert resized(grey, side).shape == (side, side, 3)
