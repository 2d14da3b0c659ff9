"""Synthetic marks for the tests: drawn here, the same each time."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

from search.retrieval.description import Description
from search.retrieval.descriptors import VECTOR_DESCRIPTORS
from search.retrieval.pooling import unit


def star(size: int = 200, *, at: tuple[int, int] = (100, 100), radius: int = 80) -> Image.Image:
    image = Image.new("RGB", (size, size), "white")
    angles = np.pi * (np.arange(10) / 5 - 0.5)
    reach = np.where(np.arange(10) % 2, radius * 0.45, radius)
    points = [(at[0] + r * np.cos(a), at[1] + r * np.sin(a)) for a, r in zip(angles, reach, strict=True)]
    ImageDraw.Draw(image).polygon(points, fill="black")
    return image


def ring(size: int = 200) -> Image.Image:
    image = Image.new("RGB", (size, size), "white")
    ImageDraw.Draw(image).ellipse((30, 30, size - 30, size - 30), outline="black", width=22)
    return image


def star_beside_bars() -> Image.Image:
    """A star at the left, three bars at the right, 420 x 200."""
    image = Image.new("RGB", (420, 200), "white")
    image.paste(star(), (0, 0))
    draw = ImageDraw.Draw(image)
    for x in (240, 300, 360):
        draw.rectangle((x, 30, x + 28, 170), fill="black")
    return image


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def random_description(rng: np.random.Generator, *, dim: int = 16, regions: int = 2) -> Description:
    """A description of random unit vectors, in a 100 x 80 image."""
    boxes = np.array([[5 * i, 4 * i, 5 * i + 20, 4 * i + 30] for i in range(regions)], np.int32)
    return Description(
        vectors={name: unit(rng.normal(size=dim)) for name in VECTOR_DESCRIPTORS},
        regions=unit(rng.normal(size=(regions, dim))),
        boxes=boxes.reshape(-1, 4),
        size=(100, 80),
    )
