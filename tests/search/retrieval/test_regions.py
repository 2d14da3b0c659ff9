import numpy as np
from PIL import Image, ImageDraw

from search.retrieval.normalise import SIDE, normalise
from search.retrieval.regions import Part, cut
from search.retrieval.regions.ink_groups import ink_groups
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
