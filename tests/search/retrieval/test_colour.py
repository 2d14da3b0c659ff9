import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from search.retrieval.descriptors.colour import DIM, ColourDescriptor, colour_vector, oklab
from search.retrieval.normalise import normalise
from tests.search.retrieval.pictures import pixels, ring, star

RED, GREEN, BLUE, WHITE, BLACK = (220, 20, 30), (20, 150, 60), (30, 60, 200), (255, 255, 255), (0, 0, 0)
Colour = tuple[int, int, int]


def painted(mark: Image.Image, ink: Colour, paper: Colour) -> Image.Image:
    grey = pixels(mark)[:, :, :1] < 128
    return Image.fromarray(np.where(grey, [[ink]], [[paper]]).astype(np.uint8))


def vector(image: Image.Image) -> np.ndarray | None:
    return ColourDescriptor().describe([normalise(pixels(image))])[0]


def likeness(a: Image.Image, b: Image.Image) -> float:
    one, two = vector(a), vector(b)
    assert one is not None and two is not None
    return float(one @ two)


def test_oklab_of_the_primaries() -> None:
    """Ottosson's own table: white (1, 0, 0); linear sRGB red, green and blue."""
    got = oklab(np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], float))
    expected = [[1, 0, 0], [0.628, 0.225, 0.126], [0.866, -0.234, 0.179], [0.452, -0.032, -0.312], [0, 0, 0]]
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_the_vector_is_a_unit_vector_of_the_stated_length() -> None:
    found = vector(painted(star(), RED, WHITE))
    assert found is not None and found.shape == (DIM,) and found.dtype == np.float32 and (found >= 0).all()
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("ink", "paper"), [(BLACK, WHITE), (WHITE, BLACK), ((120, 120, 120), WHITE)])
def test_black_white_and_grey_have_no_colour(ink: Colour, paper: Colour) -> None:
    assert vector(painted(star(), ink, paper)) is None


def test_yellowed_paper_and_jpeg_noise_are_no_colour() -> None:
    paper = pixels(painted(star(), (25, 22, 20), (250, 246, 232))).astype(int)
    noisy = paper + np.random.default_rng(0).integers(-4, 5, paper.shape)
    assert vector(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))) is None


def test_the_shape_does_not_matter_and_the_colour_does() -> None:
    red = painted(star(), RED, WHITE)
    assert likeness(red, painted(ring(), RED, WHITE)) > 0.99
    for other in (GREEN, BLUE):
        assert likeness(red, painted(star(), other, WHITE)) < 0.05


def test_a_near_shade_is_nearer_than_another_colour() -> None:
    red = painted(star(), RED, WHITE)
    shade = likeness(red, painted(star(), (170, 25, 30), WHITE))
    assert 0.5 < shade < 0.999 and shade > likeness(red, painted(star(), (230, 140, 20), WHITE)) + 0.3


@pytest.mark.parametrize("mark", [star(), Image.new("RGB", (60, 40), "black")])
def test_a_reversed_copy_is_alike(mark: Image.Image) -> None:
    """White on red as red on white, also where the ink fills its own box and only the paper is red."""
    framed = ImageOps.expand(mark, 40, fill="white")
    assert likeness(painted(framed, RED, WHITE), painted(framed, WHITE, RED)) > 0.99


def test_black_instead_of_white_paper_changes_nothing() -> None:
    assert likeness(painted(star(), RED, WHITE), painted(star(), RED, BLACK)) > 0.99


def test_it_is_the_bhattacharyya_coefficient_of_the_shares() -> None:
    """Shares of two colours far apart: 1/4 and 3/4 against 3/4 and 1/4 is 2 * sqrt(3) / 4."""

    def halves(share: float) -> np.ndarray:
        image = np.full((100, 100, 3), GREEN, np.uint8)
        image[:, : round(100 * share)] = BLUE
        found = colour_vector(image)
        assert found is not None
        return found

    assert float(halves(0.25) @ halves(0.75)) == pytest.approx(2 * np.sqrt(3) / 4, abs=1e-6)
    assert float(halves(0.25) @ halves(0.25)) == pytest.approx(1, abs=1e-6)


def test_margins_do_not_matter() -> None:
    flag = Image.new("RGB", (300, 200), RED)
    ImageDraw.Draw(flag).rectangle((100, 0, 199, 199), fill=GREEN)
    assert likeness(flag, ImageOps.expand(flag, (200, 20, 80, 300), fill="white")) > 0.99


def test_a_small_coloured_dot_counts_and_a_single_pixel_does_not() -> None:
    image = star()
    image.putpixel((100, 100), RED)
    assert vector(image) is None
    ImageDraw.Draw(image).ellipse((90, 90, 110, 110), fill=RED)
    assert vector(image) is not None
