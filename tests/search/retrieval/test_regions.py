import numpy as np
import pytest
from PIL import Image, ImageDraw

from search.retrieval.normalise import SIDE, normalise
from search.retrieval.regions import FINDERS, Part, cut
from search.retrieval.regions.ink_groups import ink_groups
from search.retrieval.regions.watershed import flooded, foreground
from tests.search.retrieval.pictures import pixels, star, star_beside_bars


def boxes_in_original(image: Image.Image, count: int = 8) -> np.ndarray:
    mark = normalise(pixels(image))
    return mark.to_original(boxes(mark.grey, count))


def boxes(grey: np.ndarray, count: int) -> np.ndarray:
    return np.array([part.box for part in ink_groups(grey, count)]).reshape(-1, 4)


def overlap(a: np.ndarray, b: tuple[int, int, int, int]) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    both = np.prod(np.maximum(high - low, 0))
    return float(both / (np.prod(a[2:] - a[:2]) + (b[2] - b[0]) * (b[3] - b[1]) - both))


def test_finds_the_symbol_beside_the_bars_in_original_pixels() -> None:
    found = boxes_in_original(star_beside_bars())
    assert max(overlap(box, (24, 20, 176, 165)) for box in found) > 0.85


def test_at_most_count_largest_first() -> None:
    image = Image.new("RGB", (600, 600), "white")
    draw = ImageDraw.Draw(image)
    for i in range(9):
        side = 30 + 12 * i
        x, y = 200 * (i % 3) + 10, 200 * (i // 3) + 10
        draw.rectangle((x, y, x + side, y + side), fill="black")
    mark = normalise(pixels(image))
    found = boxes(mark.grey, 4)
    areas = np.prod(found[:, 2:] - found[:, :2], axis=1)
    assert len(found) == 4 and np.all(np.diff(areas) <= 0)


def test_drops_specks_and_the_whole_mark_itself() -> None:
    image = star()
    ImageDraw.Draw(image).rectangle((3, 3, 6, 6), fill="black")
    mark = normalise(pixels(image))
    found = boxes(mark.grey, 8)
    areas = np.prod(found[:, 2:] - found[:, :2], axis=1) / SIDE**2
    assert np.all(areas >= 0.01) and np.all(areas < 0.81)


def test_a_blank_mark_has_no_parts() -> None:
    assert ink_groups(np.full((SIDE, SIDE), 255, np.uint8), 4) == []


def test_solid_black_is_no_error() -> None:
    assert ink_groups(np.zeros((SIDE, SIDE), np.uint8), 4) == []


def test_a_cut_part_is_centred_on_white() -> None:
    grey = np.full((SIDE, SIDE), 255, np.uint8)
    grey[100:120, 40:140] = 0
    part = cut(Part((40, 100, 140, 120), grey), 128)
    assert part.shape == (128, 128, 3)
    rows, columns = np.where(part[:, :, 0] < 128)
    assert abs(rows.mean() - 63.5) < 1.5 and abs(columns.mean() - 63.5) < 1.5
    assert part[0].min() == 255


def test_letters_are_one_group_and_apart_from_the_symbol() -> None:
    found = boxes_in_original(star_beside_bars())
    assert max(overlap(box, (240, 30, 389, 171)) for box in found) < 0.5, "bars 32 px apart stay apart"
    image = Image.new("RGB", (420, 200), "white")
    image.paste(star(), (0, 0))
    for x in range(240, 400, 20):
        ImageDraw.Draw(image).rectangle((x, 60, x + 12, 140), fill="black")
    found = boxes_in_original(image)
    assert max(overlap(box, (240, 60, 393, 141)) for box in found) > 0.85


def test_the_white_symbol_on_a_dark_box_is_a_part_with_its_contrast_reversed() -> None:
    box = Image.new("RGB", (200, 200), "black")
    box.paste(Image.fromarray(255 - pixels(star(160, at=(80, 80), radius=64))), (20, 20))
    image = Image.new("RGB", (300, 300), "white")
    image.paste(box, (50, 50))
    mark = normalise(pixels(image))
    part = ink_groups(mark.grey, 4)[0]
    assert overlap(mark.to_original(np.array([part.box]))[0], (89, 86, 211, 202)) > 0.85
    alone = normalise(pixels(star()))
    reversed_back = cut(part, 64)[:, :, 0].astype(int)
    expected = cut(Part((8, 8, SIDE - 8, SIDE - 8), alone.grey), 64)[:, :, 0]
    assert np.abs(reversed_back - expected).mean() < 30
    assert np.abs(255 - reversed_back - expected).mean() > 120


def found_by(name: str, image: Image.Image, count: int | None = None) -> np.ndarray:
    mark = normalise(pixels(image))
    parts = FINDERS[name].find(mark.grey, FINDERS[name].count if count is None else count)
    return mark.to_original(np.array([part.box for part in parts]).reshape(-1, 4))


def star_with_word() -> Image.Image:
    image = Image.new("RGB", (420, 200), "white")
    image.paste(star(), (0, 0))
    for x in range(240, 400, 20):
        ImageDraw.Draw(image).rectangle((x, 60, x + 12, 140), fill="black")
    return image


@pytest.mark.parametrize("name", list(FINDERS))
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_every_finder_takes_a_picture_without_parts(name: str, grey: int) -> None:
    found = FINDERS[name].find(np.full((SIDE, SIDE), grey, np.uint8), 8)
    assert len(found) <= 8 and (name == "crops" or not found or grey == 128)


@pytest.mark.parametrize("name", list(FINDERS))
@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_finder_keeps_to_the_count_and_inside_the_picture(name: str, count: int) -> None:
    mark = normalise(pixels(star_with_word()))
    parts = FINDERS[name].find(mark.grey, count)
    assert len(parts) <= count
    for part in parts:
        x0, y0, x1, y1 = part.box
        assert 0 <= x0 < x1 <= SIDE and 0 <= y0 < y1 <= SIDE and part.grey.shape == (SIDE, SIDE)


def test_components_finds_each_piece_of_ink() -> None:
    found = found_by("components", star_beside_bars())
    assert len(found) == 4
    for box in ((24, 20, 176, 165), (240, 30, 269, 171), (300, 30, 329, 171), (360, 30, 389, 171)):
        assert max(overlap(one, box) for one in found) > 0.85


def test_watershed_parts_two_discs_that_touch_at_their_neck() -> None:
    """As on paper: the farthest points inside are the two centres, and the border runs through the neck."""
    image = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(image).ellipse((20, 40, 150, 170), fill="black")
    ImageDraw.Draw(image).ellipse((140, 40, 270, 170), fill="black")
    found = sorted(found_by("watershed", image).tolist())
    assert len(found) == 2
    np.testing.assert_allclose(found, [[20, 40, 146, 171], [145, 40, 271, 171]], atol=5)


def test_the_foreground_is_what_k_means_paints_below_the_threshold() -> None:
    grey = np.full((SIDE, SIDE), 250, np.uint8)
    grey[100:150, 100:150] = 20
    assert foreground(grey).sum() == 2500
    pale = np.where(grey == 20, 230, 250).astype(np.uint8)  # both means are 225 or more: nothing is foreground
    assert foreground(pale).sum() == 0
    assert foreground(255 - grey).sum() == 2500  # most of the border is dark: reversed


def test_flooding_goes_from_the_deepest_pixels_outwards() -> None:
    """Two basins in a row of pixels with depths 1 3 2 1 2 4 1: they meet at the shallow pixel in the middle."""
    depth = np.array([[1, 3, 2, 1, 2, 4, 1]], np.float32)
    seeds = np.array([[0, 1, 0, 0, 0, 2, 0]], np.int32)
    assert flooded(depth, seeds).tolist() in ([[1, 1, 1, 1, 2, 2, 2]], [[1, 1, 1, 2, 2, 2, 2]])
    apart = np.array([[1, 3, 0, 0, 2, 4, 1]], np.float32)
    assert flooded(apart, seeds).tolist() == [[1, 1, 0, 0, 2, 2, 2]]


def test_text_is_parted_from_the_symbol_and_wiped_out_of_it() -> None:
    image = star_with_word()
    symbol, word = found_by("text-symbol", image)
    assert overlap(symbol, (24, 20, 176, 165)) > 0.85 and overlap(word, (240, 60, 393, 141)) > 0.85
    ImageDraw.Draw(image).ellipse((90, 175, 380, 199), fill="black")  # now the symbol's box reaches under the word
    mark = normalise(pixels(image))
    part = FINDERS["text-symbol"].find(mark.grey, 4)[0]
    right, bottom = mark.to_original(np.array([part.box]))[0][2:]
    assert right > 300 and bottom > 190
    left = SIDE * 3 // 4  # the columns of the word
    assert (part.grey[:, left:] < 128).sum() < 0.5 * (mark.grey[:, left:] < 128).sum()


@pytest.mark.parametrize("image", [star(), star_beside_bars().crop((220, 0, 420, 200))])
def test_a_mark_that_is_all_symbol_or_all_text_is_not_parted(image: Image.Image) -> None:
    assert len(found_by("text-symbol", image)) == 0


def test_crops_are_halves_of_oblong_marks_and_centre_and_quarters_of_others() -> None:
    wide = Image.new("RGB", (400, 200), "white")
    ImageDraw.Draw(wide).rectangle((40, 60, 359, 139), fill="black")
    np.testing.assert_allclose(found_by("crops", wide), [[40, 60, 200, 140], [200, 60, 360, 140]], atol=3)
    np.testing.assert_allclose(
        found_by("crops", wide.rotate(90, expand=True)), [[60, 40, 140, 200], [60, 200, 140, 360]], atol=3
    )
    square = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(square).rectangle((40, 40, 159, 159), fill="black")
    found = found_by("crops", square)
    assert len(found) == 5
    np.testing.assert_allclose(found[0], [70, 70, 130, 130], atol=3)
    np.testing.assert_allclose(found[1:, :2], [[40, 40], [100, 40], [40, 100], [100, 100]], atol=3)
