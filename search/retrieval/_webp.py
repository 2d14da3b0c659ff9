"""A large WebP decoded straight to a smaller size, its first frame where it moves.

Pillow opens every WebP as an animation and holds 24 bytes a pixel at its peak: two canvases, the decoder's own, two
copies. libwebp itself can shrink while it decodes; what is left is its own 4 bytes a pixel where the file is lossless
and hardly anything where it is not. Pillow's copy of the library is used, so that there is one to keep up to date.

The structures are those of webp/decode.h, unchanged since ABI 0x0200; the container is RFC 9649, section 2.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import PIL._webp
from PIL import Image

_ABI = 0x0200
_RGB, _RGBA = 0, 1
_ANIMATION, _ALPHA = 0x02, 0x10
"""Flags in the VP8X chunk."""


def _fields(kind: type, *names: str) -> list[tuple[str, type]]:
    return [(name, kind) for name in names]


class _Features(ctypes.Structure):
    _fields_ = [
        *_fields(ctypes.c_int, "width", "height", "has_alpha", "has_animation", "format"),
        ("pad", ctypes.c_uint32 * 5),
    ]


class _Output(ctypes.Structure):
    _fields_ = [
        *_fields(ctypes.c_int, "colorspace", "width", "height", "is_external_memory"),
        ("rgba", ctypes.c_void_p),
        ("stride", ctypes.c_int),
        ("size", ctypes.c_size_t),
        ("rest_of_union", ctypes.c_uint8 * 56),
        ("pad", ctypes.c_uint32 * 4),
        ("private_memory", ctypes.c_void_p),
    ]


class _Options(ctypes.Structure):
    _fields_ = [
        *_fields(ctypes.c_int, "bypass_filtering", "no_fancy_upsampling"),
        *_fields(ctypes.c_int, "use_cropping", "crop_left", "crop_top", "crop_width", "crop_height"),
        *_fields(ctypes.c_int, "use_scaling", "scaled_width", "scaled_height"),
        *_fields(ctypes.c_int, "use_threads", "dithering_strength", "flip", "alpha_dithering_strength"),
        ("pad", ctypes.c_uint32 * 5),
    ]


class _Config(ctypes.Structure):
    _fields_ = [("input", _Features), ("output", _Output), ("options", _Options)]


def webp_reduced(data: bytes, *, canvas: tuple[int, int], size: tuple[int, int]) -> Image.Image | None:
    """The WebP of `canvas` pixels as an RGB or RGBA image of `size`, its EXIF block in `info`; None where Pillow's
    libwebp cannot be reached. Raises OSError for damaged bytes, MemoryError.
    """
    chunks = {kind: (start, end) for kind, start, end in reversed(list(_chunks(data, 12)))}
    flags = data[chunks[b"VP8X"][0]] if b"VP8X" in chunks else 0
    if not flags & _ANIMATION:
        image = _decoded(data, size)
    elif b"ANMF" in chunks:
        start, end = chunks[b"ANMF"]
        x, y, wide, high = (int.from_bytes(data[at : at + 3], "little") for at in range(start, start + 12, 3))
        box = (2 * x, 2 * y, 2 * x + wide + 1, 2 * y + high + 1)
        if box[2] > canvas[0] or box[3] > canvas[1]:
            raise OSError("a frame lies outside its canvas")
        left, top, right, bottom = (round(edge * size[n % 2] / canvas[n % 2]) for n, edge in enumerate(box))
        frame = _decoded(data[start + 16 : end], (max(right - left, 1), max(bottom - top, 1)))
        image = frame and Image.new("RGBA" if flags & _ALPHA else "RGB", size)
        if image and frame:
            image.paste(frame.convert(image.mode), (left, top))
    else:
        raise OSError("an animation without frames")
    if image and b"EXIF" in chunks:
        image.info["exif"] = data[slice(*chunks[b"EXIF"])]
    return image


def _chunks(data: bytes, at: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the payload of each chunk from `at` on."""
    while at + 8 <= len(data):
        start, length = at + 8, int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], start, min(start + length, len(data))
        at = start + length + length % 2


def _decoded(data: bytes, size: tuple[int, int]) -> Image.Image | None:
    try:
        libwebp = ctypes.CDLL(PIL._webp.__file__)  # it finds what the module is linked to
        start, features, decode = (
            libwebp.WebPInitDecoderConfigInternal,
            libwebp.WebPGetFeaturesInternal,
            libwebp.WebPDecode,
        )
    except (OSError, AttributeError):
        return None
    config, length = _Config(), ctypes.c_size_t(len(data))
    if not start(ctypes.byref(config), _ABI):
        return None
    if features(data, length, ctypes.byref(config.input), _ABI):
        raise OSError("broken WebP header")
    mode, bands = ("RGBA", 4) if config.input.has_alpha else ("RGB", 3)
    width, height = size
    pixels = ctypes.create_string_buffer(width * height * bands)
    config.output.colorspace = _RGBA if bands == 4 else _RGB
    config.output.is_external_memory = 1
    config.output.rgba = ctypes.addressof(pixels)
    config.output.stride, config.output.size = width * bands, len(pixels)
    config.options.use_scaling, config.options.scaled_width, config.options.scaled_height = 1, width, height
    status = decode(data, length, ctypes.byref(config))
    if status == 1:  # VP8_STATUS_OUT_OF_MEMORY
        raise MemoryError
    if status:
        raise OSError(f"broken WebP ({status})")
    return Image.frombytes(mode, size, pixels.raw)
