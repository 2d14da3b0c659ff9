"""Bytes from a stranger in, clean RGB pixels out; what cannot be used is refused with a sentence.

The order matters: what the bytes are, then how many, then how many pixels they claim, and only then decoding,
so that a small file that unpacks to gigabytes costs nothing.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from search.retrieval._sniff import not_a_picture, webp_size

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
MAX_BYTES = 20 * 1024 * 1024
TOO_LARGE = f"The image is larger than {MAX_BYTES // 2**20} MB. Send a smaller copy."
MAX_PIXELS = 40_000_000
MIN_SIDE = 8
DESCRIBED_SIDE = 1024
"""Longest side kept for describing: the encoders see at most 256 px, parts of a mark a quarter of it."""

# Our own limit on pixels lies far below the size at which Pillow starts to warn; its error still counts.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

_ORIENTATION = 0x0112
_QUARTER_TURNS = (5, 6, 7, 8)
"""The EXIF tag, and its values that swap width and height (EXIF 2.32, section 4.6.4)."""
_WHITE_INK = 215
"""Visible ink whose mean grey is above this would vanish on white paper."""

Pixels = NDArray[np.uint8]


class ImageRefused(ValueError):  # noqa: N818  it is an answer to the user, not a fault
    """The image cannot be used; str(e) is a sentence for the person who sent it."""


@dataclass(frozen=True)
class Picture:
    """A decoded image, possibly reduced.

    pixels: uint8 RGB (h, w, 3). width, height: of the original (EXIF-turned), which boxes refer to.
    """

    pixels: Pixels
    width: int
    height: int


def decode_image(data: bytes) -> Pixels:
    """Decode to uint8 RGB (h, w, 3) at full size.

    PNG, JPEG, GIF (first frame), BMP, TIFF and WebP are told apart by content. Transparency is laid on white,
    or on black when the visible ink itself is near white; EXIF orientation is applied; 16-bit grey is scaled.
    Raises ImageRefused.
    """
    return _decode(data, max_side=None).pixels


def decode_picture(data: bytes, *, max_side: int = DESCRIBED_SIDE) -> Picture:
    """Like `decode_image`, but at most `max_side` pixels a side: less memory and time for describing.

    Raises ImageRefused.
    """
    return _decode(data, max_side=max_side)


def reduce_picture(image: Pixels | Picture, *, max_side: int = DESCRIBED_SIDE) -> Picture:
    """An image already decoded, at most `max_side` pixels a side, with its size remembered."""
    picture = image if isinstance(image, Picture) else Picture(image, image.shape[1], image.shape[0])
    height, width = picture.pixels.shape[:2]
    if max(height, width) <= max_side:
        return picture
    smaller = Image.fromarray(picture.pixels)
    smaller.thumbnail((max_side, max_side), Image.Resampling.BOX, reducing_gap=None)
    return Picture(np.asarray(smaller), picture.width, picture.height)


def _decode(data: bytes, max_side: int | None) -> Picture:
    _check_bytes(data)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(*image.size)
            full = image.size
            if max_side is not None and max(full) > 2 * max_side:
                image.draft(None, (2 * max_side, 2 * max_side))
            image.load()
            plain_ink = image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info
            turned = ImageOps.exif_transpose(image)
            if image.getexif().get(_ORIENTATION, 1) in _QUARTER_TURNS:
                full = (full[1], full[0])
            pixels = _to_rgb(_shrunk(turned, max_side), plain_ink=plain_ink)
    except ImageRefused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageRefused(_too_many_pixels()) from None
    except UnidentifiedImageError:
        raise ImageRefused(not_a_picture(data)) from None
    except MemoryError:
        raise ImageRefused("The image needs too much memory to open; send a smaller copy.") from None
    except Exception as error:  # noqa: BLE001  decoders fail in many ways on hostile bytes; all mean the same here
        raise ImageRefused(
            "The image is damaged or incomplete and cannot be read to its end; "
            f"open it in an image program and save it again as PNG ({type(error).__name__})."
        ) from None
    picture = Picture(pixels, *full)
    return picture if max_side is None else reduce_picture(picture, max_side=max_side)


def _check_bytes(data: bytes) -> None:
    if not data:
        raise ImageRefused("The file is empty; choose an image file.")
    if len(data) > MAX_BYTES:
        raise ImageRefused(TOO_LARGE)
    # The WebP decoder allocates its canvas while opening, before Pillow tells the size.
    size = webp_size(data)
    if size is not None:
        _check_size(*size)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageRefused(_too_many_pixels(width, height))
    if min(width, height) < MIN_SIDE:
        raise ImageRefused(
            f"The image is {width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed. Send a larger copy."
        )


def _too_many_pixels(width: int = 0, height: int = 0) -> str:
    claim = f"The image claims {width} x {height} pixels" if width else "The image claims far too many pixels"
    return f"{claim}; at most {MAX_PIXELS // 10**6} million are accepted. Send a smaller copy."


def _shrunk(image: Image.Image, max_side: int | None) -> Image.Image:
    """At most max_side pixels a side. Palettes and 16-bit modes cannot be averaged: those wait until RGB."""
    if max_side is None or max(image.size) <= max_side or image.mode not in ("L", "RGB", "CMYK"):
        return image
    smaller = image.copy()
    smaller.thumbnail((max_side, max_side), Image.Resampling.BOX)
    return smaller


def _to_rgb(image: Image.Image, *, plain_ink: bool) -> Pixels:
    if image.mode.startswith("I") or image.mode == "F":
        return np.repeat(_to_8_bit(np.asarray(image))[:, :, None], 3, axis=2)
    if plain_ink:
        # Pillow assumes Adobe's inverted ink in every CMYK JPEG; without Adobe's marker it is not inverted.
        image = Image.eval(image, lambda ink: 255 - ink)
    if image.has_transparency_data:
        return _on_paper(np.asarray(image.convert("RGBA")))
    if image.mode not in ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"):
        raise ImageRefused(f"Images in colour mode {image.mode} are not accepted; save it as an RGB PNG.")
    return np.asarray(image.convert("RGB"))


def _to_8_bit(grey: NDArray[np.generic]) -> Pixels:
    """Grey of any depth to 0..255 by scale, never by cutting off the upper bits."""
    values = np.nan_to_num(grey.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if grey.dtype.kind == "f":
        full = 1.0 if high <= 1 else max(high, 255.0)
    elif grey.dtype.itemsize == 2 or high > 255:
        full = max(high, 65535.0)
    else:
        full = 255.0
    return np.asarray(np.rint((values - min(low, 0.0)) / (full - min(low, 0.0)) * 255), dtype=np.uint8)


def _on_paper(rgba: Pixels) -> Pixels:
    """Lay transparent pixels on white, or on black when the mark itself is white."""
    alpha = rgba[:, :, 3:].astype(np.float32) / 255
    ink = rgba[:, :, :3].astype(np.float32)
    visible = float(alpha.sum())
    clear = float((1 - alpha).mean()) > 0.01
    near_white = visible > 0 and float((ink.mean(axis=2, keepdims=True) * alpha).sum()) / visible > _WHITE_INK
    paper = 0.0 if clear and near_white else 255.0
    return np.asarray(np.rint(ink * alpha + paper * (1 - alpha)), dtype=np.uint8)
