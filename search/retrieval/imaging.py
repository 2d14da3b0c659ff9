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

from search.retrieval._shrink import deep, extremes, fitted, shrunk, to_8_bit
from search.retrieval._sniff import not_a_picture, webp_size
from search.retrieval._webp import webp_reduced

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
MAX_BYTES = 20 * 1024 * 1024
TOO_LARGE = f"The image is larger than {MAX_BYTES // 2**20} MB. Send a smaller copy."
NEEDS_MEMORY = "The image needs too much memory to open; send a smaller copy."
MAX_PIXELS = 40_000_000
MIN_SIDE = 8
DESCRIBED_SIDE = 1024
"""Longest side kept for describing: the encoders see at most 256 px, parts of a mark a quarter of it."""

# Our own limit on pixels lies far below the size at which Pillow starts to warn; its error still counts.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

_ORIENTATION = 0x0112
_QUARTER_TURNS = (5, 6, 7, 8)
"""The EXIF tag, and its values that swap width and height (EXIF 2.32, section 4.6.4)."""
_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "I", "F"}
_MODES |= {"I;16", "I;16B", "I;16L", "I;16N"}
_LARGE = 10_000_000
"""Pixels from which on a decoder may need more than an image's share of memory."""
_WHITE_INK = 215
"""Visible ink whose mean grey is above this would vanish on white paper."""

Pixels = NDArray[np.uint8]


class ImageRefused(ValueError):  # noqa: N818  it is an answer to the user, not a fault
    """The image cannot be used; str(e) is a sentence for the person who sent it."""


class TooManyPixels(ImageRefused):
    """More than the caller wants to open, though not more than are accepted."""


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


def decode_picture(data: bytes, *, max_side: int = DESCRIBED_SIDE, most_pixels: int = MAX_PIXELS) -> Picture:
    """Like `decode_image`, but at most `max_side` pixels a side: less memory and time for describing.

    In this process, so for files of one's own; `decoding.decode_apart` is for those of strangers. Raises ImageRefused,
    and of that TooManyPixels where more than most_pixels would be opened.
    """
    return _decode(data, max_side=max_side, most_pixels=most_pixels)


def reduce_picture(image: Pixels | Picture, *, max_side: int = DESCRIBED_SIDE) -> Picture:
    """An image already decoded, at most `max_side` pixels a side, with its size remembered."""
    picture = image if isinstance(image, Picture) else Picture(image, image.shape[1], image.shape[0])
    height, width = picture.pixels.shape[:2]
    if max(height, width) <= max_side:
        return picture
    smaller = Image.fromarray(picture.pixels)
    smaller.thumbnail((max_side, max_side), Image.Resampling.BOX, reducing_gap=None)
    return Picture(np.asarray(smaller), picture.width, picture.height)


def _decode(data: bytes, max_side: int | None, most_pixels: int = MAX_PIXELS) -> Picture:
    check_bytes(data)
    full = (0, 0)
    try:
        with _opened(data, max_side, most_pixels) as image:
            full = webp_size(data) or image.size
            _check_size(*full, most_pixels)
            if image.mode not in _MODES:
                raise ImageRefused(f"Images in colour mode {image.mode} are not accepted; save it as an RGB PNG.")
            if max_side is not None and max(full) > 2 * max_side:
                image.draft(None, (2 * max_side, 2 * max_side))
            image.load()
            plain_ink = image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info
            orientation = image.getexif().get(_ORIENTATION, 1)
            if orientation in _QUARTER_TURNS:
                full = (full[1], full[0])
            small = image if max_side is None else shrunk(image, max_side)
            if small is not image:
                small.getexif()[_ORIENTATION] = orientation
            pixels = _to_rgb(ImageOps.exif_transpose(small), plain_ink=plain_ink)
    except ImageRefused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageRefused(_too_many_pixels()) from None
    except UnidentifiedImageError:
        raise ImageRefused(not_a_picture(data)) from None
    except MemoryError:
        raise ImageRefused(NEEDS_MEMORY) from None
    except Exception as error:  # noqa: BLE001  decoders fail in many ways on hostile bytes; all mean the same here
        # Under a limit some decoders report a lack of memory as damage.
        if "memory" in str(error):
            raise ImageRefused(NEEDS_MEMORY) from None
        large = ", or too large to be opened in the memory there is" if full[0] * full[1] > _LARGE else ""
        raise ImageRefused(
            f"The image is damaged or incomplete and cannot be read to its end{large}; open it in an image program and "
            f"save it again as {'a smaller ' if large else ''}PNG ({type(error).__name__})."
        ) from None
    picture = Picture(pixels, *full)
    return picture if max_side is None else reduce_picture(picture, max_side=max_side)


def _opened(data: bytes, max_side: int | None, most_pixels: int) -> Image.Image:
    size = webp_size(data)
    if size is not None and max_side is not None and max(size) > 2 * max_side:
        _check_size(*size, most_pixels)
        reduced = webp_reduced(data, canvas=size, size=fitted(size, max_side))
        if reduced is not None:
            return reduced
    return Image.open(io.BytesIO(data), formats=FORMATS)


def check_bytes(data: bytes) -> None:
    """What can be told without opening anything: raises ImageRefused."""
    if not data:
        raise ImageRefused("The file is empty; choose an image file.")
    if len(data) > MAX_BYTES:
        raise ImageRefused(TOO_LARGE)
    # The WebP decoder allocates its canvas while opening, before Pillow tells the size.
    size = webp_size(data)
    if size is not None:
        _check_size(*size)


def _check_size(width: int, height: int, most_pixels: int = MAX_PIXELS) -> None:
    if width * height > MAX_PIXELS:
        raise ImageRefused(_too_many_pixels(width, height))
    if min(width, height) < MIN_SIDE:
        raise ImageRefused(
            f"The image is {width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed. Send a larger copy."
        )
    if width * height > most_pixels:
        raise TooManyPixels(_too_many_pixels(width, height))


def _too_many_pixels(width: int = 0, height: int = 0) -> str:
    claim = f"The image claims {width} x {height} pixels" if width else "The image claims far too many pixels"
    return f"{claim}; at most {MAX_PIXELS // 10**6} million are accepted. Send a smaller copy."


def _to_rgb(image: Image.Image, *, plain_ink: bool) -> Pixels:
    if deep(image):
        grey = np.asarray(image)
        return np.repeat(to_8_bit(grey, *extremes(grey))[:, :, None], 3, axis=2)
    if plain_ink:
        # Pillow assumes Adobe's inverted ink in every CMYK JPEG; without Adobe's marker it is not inverted.
        image = Image.eval(image, lambda ink: 255 - ink)
    if image.has_transparency_data:
        return _on_paper(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def _on_paper(rgba: Pixels) -> Pixels:
    """Lay transparent pixels on white, or on black when the mark itself is white."""
    alpha = rgba[:, :, 3:].astype(np.float32) / 255
    ink = rgba[:, :, :3].astype(np.float32)
    visible = float(alpha.sum())
    clear = float((1 - alpha).mean()) > 0.01
    near_white = visible > 0 and float((ink.mean(axis=2, keepdims=True) * alpha).sum()) / visible > _WHITE_INK
    paper = 0.0 if clear and near_white else 255.0
    return np.asarray(np.rint(ink * alpha + paper * (1 - alpha)), dtype=np.uint8)
