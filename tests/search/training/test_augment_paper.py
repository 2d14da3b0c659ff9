import numpy as np
import pytest

from search.training import augment_paper as paper
from search.training.augment_paper import PaperAugmentation

NOTHING = {"rotation": 0.0, "jitter": 0.0, "grey": 0.0, "blur": 0.0, "flip": 0.0}
WHOLE = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0)}


def mark(channels: int = 3, side: int = 80) -> np.ndarray:
    image = np.full((side, side, channels), 255, np.uint8)
    image[20:50, 10:40] = (200, 30, 60)[:channels]
    return image if channels == 3 else image[..., 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_views_keep_the_kind_and_take_the_side(channels: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        view = PaperAugmentation(side=64)(mark(channels), rng)
        assert view.shape == ((64, 64, 3) if channels == 3 else (64, 64)) and view.dtype == np.uint8
        assert view.flags.c_contiguous


def test_the_same_generator_gives_the_same_views_and_the_image_stays() -> None:
    image, augment = mark(), PaperAugmentation(side=64)
    before = image.copy()
    first, again = (augment.two_views(image, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(image, before)
    assert not np.array_equal(*first)


def test_with_everything_off_the_image_comes_back() -> None:
    image = mark(side=64)
    view = PaperAugmentation(side=64, **NOTHING, **WHOLE)(image, np.random.default_rng(0))
    np.testing.assert_array_equal(view, image)


def test_probabilities_are_those_of_the_paper() -> None:
    image, rng = mark(side=32), np.random.default_rng(0)
    for part, share in (("rotation", 0.15), ("jitter", 0.8), ("grey", 0.2), ("blur", 0.5), ("flip", 0.5)):
        options = {**NOTHING, **WHOLE, part: getattr(PaperAugmentation(), part), "sigma": (1.0, 2.0)}
        augment = PaperAugmentation(side=32, **options)
        changed = np.mean([not np.array_equal(augment(image, rng), image) for _ in range(600)])
        assert changed == pytest.approx(share, abs=0.06), part


def test_crops_cover_between_half_and_all_of_the_area() -> None:
    rng = np.random.default_rng(0)
    boxes = [paper.crop_box(100, 80, rng) for _ in range(500)]
    areas = np.array([h * w for _, _, h, w in boxes]) / 8000
    assert 0.48 < areas.min() < 0.55 and 0.9 < areas.max() <= 1
    assert all(t >= 0 and f >= 0 and t + h <= 100 and f + w <= 80 for t, f, h, w in boxes)
    # A shape that cannot fit: the whole image.
    assert paper.crop_box(100, 5, rng, scale=(1.0, 1.0), ratio=(1.0, 1.0)) == (0, 0, 100, 5)


def test_a_quarter_turn_by_hand_and_white_corners() -> None:
    image = np.array([[1, 2], [3, 4]], np.uint8)
    np.testing.assert_array_equal(paper.rotate(image, 90), [[2, 4], [1, 3]])
    turned = paper.rotate(np.zeros((41, 41, 3), np.uint8), 45)
    assert (turned[0, 0] == 255).all() and (turned[20, 20] == 0).all()


def test_brightness_contrast_and_saturation_by_hand() -> None:
    grey = np.array([[0, 100, 200]], np.uint8)
    assert paper.adjust_brightness(grey, 1.4).tolist() == [[0, 140, 255]]  # 280 is cut
    assert paper.adjust_contrast(grey, 0.6).tolist() == [[40, 100, 160]]  # towards the mean, 100
    red = np.array([[[255, 0, 0]]], np.uint8)
    assert paper.adjust_saturation(red, 0.0).tolist() == [[[76, 76, 76]]]  # 0.299 * 255
    assert paper.adjust_saturation(red, 1.0).tolist() == red.tolist()


def test_hue_turns_the_circle_and_leaves_grey() -> None:
    red = np.array([[[255, 0, 0], [128, 128, 128]]], np.uint8)
    assert paper.adjust_hue(red, 1 / 3).tolist() == [[[0, 255, 0], [128, 128, 128]]]
    assert paper.adjust_hue(red, -1 / 3).tolist() == [[[0, 0, 255], [128, 128, 128]]]


def test_a_wider_blur_leaves_less_contrast() -> None:
    image = mark(1)
    spread = [paper.blur(image, sigma).astype(float).std() for sigma in (0.1, 1.0, 2.0)]
    assert spread[0] > spread[1] > spread[2]
