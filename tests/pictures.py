"""Small marks drawn by the tests themselves."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def mark(seed: int, *, size: int = 160) -> Image.Image:
    """One of many plain, clearly different logos: a few thick shapes on white."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(2, 5))):
        x, y = rng.integers(10, size - 70, 2)
        w, h = rng.integers(25, 65, 2)
        colour = tuple(int(v) for v in rng.integers(0, 170, 3))
        box = (int(x), int(y), int(x + w), int(y + h))
        shape = rng.integers(0, 4)
        if shape == 0:
            draw.ellipse(box, fill=colour)
        elif shape == 1:
            draw.rectangle(box, outline=colour, width=8)
        elif shape == 2:
            draw.polygon([(box[0], box[3]), (box[2], box[3]), ((box[0] + box[2]) // 2, box[1])], fill=colour)
        else:
            draw.line(box, fill=colour, width=14)
    return image


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def own_copy(path: Path) -> bytes:
    """A picture as somebody has it who did not take the file itself: the same picture in other bytes."""
    buffer = io.BytesIO()
    with Image.open(path) as picture:
        picture.save(buffer, "PNG")
    return buffer.getvalue()
