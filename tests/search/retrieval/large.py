"""Pictures of 39 million pixels in every format and mode, cheap to write and small as files."""

import io
import struct
from typing import Any

import numpy as np
from PIL import Image

SIZE = (6500, 6000)
BOX = (500, 500, 5000, 4000)
_PLAIN = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
CASES: list[tuple[str, str, dict[str, Any]]] = [
    *(("PNG", mode, {"compress_level": 1}) for mode in _PLAIN),
    ("PNG", "P", {"compress_level": 1, "transparency": 0}),
    ("PNG", "RGB", {"compress_level": 1, "transparency": (255, 255, 255)}),
    *(("JPEG", mode, {}) for mode in ("L", "RGB", "CMYK")),
    *(("JPEG", "RGB", {"progressive": True, "subsampling": taken}) for taken in (0, 2)),
    *(("GIF", mode, {}) for mode in ("L", "P")),
    ("GIF", "P", {"transparency": 0}),
    ("BMP", "1", {}),
    *(("TIFF", mode, {"compression": "tiff_deflate"}) for mode in (*_PLAIN, "CMYK", "I", "F")),
    ("TIFF", "RGBA", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    *(("WEBP", mode, {"method": 0, "lossless": lossless}) for mode in ("RGB", "RGBA") for lossless in (True, False)),
]


def large(form: str, mode: str, options: dict[str, Any], size: tuple[int, int] = SIZE) -> bytes:
    """Light paper, or none where the mode knows transparency, and a dark box."""
    if mode in ("I;16", "I", "F"):
        kind, light, dark = {"I;16": (np.uint16, 60000, 900), "I": (np.int32, 60000, 900), "F": (np.float32, 1, 0.1)}[
            mode
        ]
        grey = np.full(size[::-1], light, kind)
        grey[BOX[1] : BOX[3], BOX[0] : BOX[2]] = dark
        image = Image.fromarray(grey)
    else:
        light, dark = {
            "RGB": ((255, 255, 255), (90, 20, 20)),
            "RGBA": ((0, 0, 0, 0), (90, 20, 20, 255)),
            "LA": ((0, 0), (20, 255)),
            "CMYK": ((0, 0, 0, 0), (0, 200, 200, 150)),
            "P": (0, 1),
        }.get(mode, (255, 0))
        image = Image.new(mode, size, light)
        if mode == "P":
            image.putpalette([255, 255, 255, 90, 20, 20] + [0] * 750)
        image.paste(dark, BOX)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def webp_of_nothing(width: int, height: int) -> bytes:
    """38 bytes: a lossless WebP of one colour, of any size up to 16,383 a side (RFC 9649, section 3)."""
    small = io.BytesIO()
    Image.new("RGBA", (16, 16), (200, 0, 0, 255)).save(small, "WEBP", lossless=True, exact=True)
    data = bytearray(small.getvalue())
    head = struct.unpack("<I", data[21:25])[0]
    data[21:25] = struct.pack("<I", head & ~0xFFFFFFF | (width - 1) | (height - 1) << 14)
    return bytes(data)


def slow_jpeg() -> bytes:
    """A progressive JPEG whose last scan comes again and again: kilobytes that take minutes."""
    file = io.BytesIO()
    Image.new("L", (3900, 4000), 128).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * 4000 + data[-2:]
