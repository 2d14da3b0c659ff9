"""Copyist augmentations: each does what its name says, and the whole is reproducible."""

from __future__ import annotations

import numpy as np
import pytest

from search.training.augment import (
    CHANGES,
    COPYIST,
    JOINS,
    Copyist,
    centred,
    contours,
    fill,
    frame,
    mirror,
    one_part,
    outline,
    photograph,
    recolour,
    reverse_in_shape,
    strokes,
)
from search.training.surroundings import Material, add_device, add_word
from tests.search.training.conftest import shape


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ink(grey: np.ndarray) -> int:
    return int((grey < 128).sum())


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_gives_a_picture_with_ink(name: str) -> None:
    for seed in range(8):
        changed = CHANGES[name](shape(seed % 8, 20), rng(seed))
        assert changed.dtype == np.uint8
        assert changed.ndim == 2
        assert (changed < 200).any()


def word(wide: int = 120) -> np.ndarray:
    text = np.full((30, wide), 255, np.uint8)
    text[5:25, 4 : wide - 4 : 6] = 40
    return text


@pytest.mark.parametrize("name", JOINS)
@pytest.mark.parametrize("material", [Material(), Material([word()], np.stack([shape(2, 20), shape(3, 20)]))])
def test_what_is_put_beside_a_mark_leaves_the_mark_whole(name: str, material: Material) -> None:
    disc = shape(0, 25)
    for seed in range(12):
        joined = JOINS[name](disc, rng(seed), material)
        placed = [
            joined[y : y + 64, x : x + 64] for y in range(joined.shape[0] - 63) for x in range(joined.shape[1] - 63)
        ]
        assert any(np.array_equal(window, disc) for window in placed)


def test_some_words_make_the_mark_a_small_part_of_the_whole() -> None:
    shares = [ink(shape(0, 25)) / add_word(shape(0, 25), rng(seed), Material([word()])).size for seed in range(60)]
    assert min(shares) < 0.5 * max(shares)


def test_another_device_comes_from_the_material_alone() -> None:
    disc = shape(0, 25)
    assert np.array_equal(add_device(disc, rng(), Material()), disc)
    assert ink(add_device(disc, rng(), Material(devices=np.stack([shape(2, 20)])))) > ink(disc)


def test_contours_are_lines_inside_the_mark_too() -> None:
    ring = shape(0, 25)
    ring[26:38, 26:38] = 255
    lines = contours(ring, rng())
    assert lines[20, 32] == 255 and (lines[32] < 128).sum() >= 4
    assert np.array_equal(contours(np.full((64, 64), 255, np.uint8), rng()), np.full((64, 64), 255, np.uint8))


def test_a_photograph_moves_the_corners_and_keeps_the_paper_white() -> None:
    square = shape(5, 25)
    seen = photograph(square, rng(4))
    assert not np.array_equal(seen < 128, square < 128)
    assert 0.3 < (seen == 255).mean() < 0.8


def test_outline_empties_the_inside() -> None:
    disc = shape(0, 25)
    assert outline(disc, rng())[32, 32] == 255
    assert (outline(disc, rng())[32] < 128).sum() >= 2  # the line is cut twice in the middle row


def test_fill_fills_what_is_closed() -> None:
    star = np.full((64, 64), 255, np.uint8)
    star[30:34, 5:60] = 0
    star[10:55, 30:34] = 0
    star[20:45, 20:45] = 255
    star[20:45, 20:22] = star[20:45, 43:45] = star[20:22, 20:45] = star[43:45, 20:45] = 0
    assert ink(fill(star, rng())) > ink(star)


def test_a_filled_box_is_left_alone_for_it_would_be_any_box() -> None:
    box = shape(5, 25)
    assert np.array_equal(fill(box, rng()), box)


def test_strokes_change_the_amount_of_ink_but_never_erase_the_mark() -> None:
    line = shape(3, 25)
    amounts = {ink(strokes(line, rng(seed))) for seed in range(10)}
    assert len(amounts) > 1
    assert min(amounts) > 0.3 * ink(line)


def test_recolour_keeps_paper_white() -> None:
    for seed in range(10):
        assert recolour(shape(0, 20), rng(seed))[0, 0] == 255


def test_reverse_in_shape_makes_ink_light_on_dark() -> None:
    changed = reverse_in_shape(shape(0, 20), rng())
    middle = len(changed) // 2
    assert changed[middle, middle] > 200
    assert ink(changed) > 0.3 * changed.size


def test_frame_keeps_the_mark_and_adds_ink_around_it() -> None:
    disc = shape(0, 20)
    framed = frame(disc, rng())
    assert len(framed) > len(disc)
    assert ink(framed) > ink(disc)


def test_mirror_is_left_to_right() -> None:
    line = shape(3, 25)
    assert np.array_equal(mirror(line, rng()), line[:, ::-1])


def test_one_part_keeps_the_largest() -> None:
    grey = np.full((64, 64), 255, np.uint8)
    grey[5:40, 5:40] = 0
    grey[50:55, 50:60] = 0
    alone = one_part(grey, rng())
    assert ink(alone) == 35 * 35


def test_centred_crops_to_the_ink() -> None:
    grey = np.full((64, 64), 255, np.uint8)
    grey[2:12, 2:22] = 0
    found = centred(grey, 112, margin=0.06)
    rows, columns = np.flatnonzero((found < 128).any(axis=1)), np.flatnonzero((found < 128).any(axis=0))
    assert len(columns) == 100  # 112 / 1.12
    assert len(rows) == 50
    assert columns[0] == 6


def test_the_same_generator_draws_the_same_picture() -> None:
    change = Copyist(48)
    once, again = (change(shape(4, 20), rng(3)) for _ in range(2))
    assert once.shape == (48, 48)
    assert np.array_equal(once, again)
    assert not np.array_equal(once, change(shape(4, 20), rng(4)))


def test_no_odds_means_only_centred() -> None:
    grey = shape(4, 20)
    plain = Copyist(64, dict.fromkeys(COPYIST, 0.0))(grey, rng())
    assert abs(ink(plain) / plain.size - 0.37) < 0.1


def test_an_unknown_augmentation_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="no augmentation 'explode'"):
        Copyist(48, {"explode": 1.0})
