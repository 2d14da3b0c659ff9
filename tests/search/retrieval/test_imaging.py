"""Every kind of bad or odd image: decoded right, or refused with a sentence that says what to do."""

import io
import struct
import time
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from search.retrieval import imaging
from search.retrieval.imaging import ImageRefused, decode_image, decode_picture
from tests.search.retrieval.pictures import encoded, star

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")


def sentence(data: bytes) -> str:
    with pytest.raises(ImageRefused) as refused:
        decode_image(data)
    text = str(refused.value)
    assert text.endswith(".") and len(text) > 20
    return text


def png_header_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", FORMATS)
def test_decodes_every_format_to_rgb(kind: str) -> None:
    got = decode_image(encoded(star(), kind))
    assert got.shape == (200, 200, 3) and got.dtype == np.uint8
    assert got[100, 100].max() < 30 and got[2, 2].min() > 225


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
def test_refuses_truncated_files(kind: str, share: float) -> None:
    noisy = Image.fromarray(np.random.default_rng(1).integers(0, 255, (120, 120, 3), dtype=np.uint8))
    data = encoded(noisy, kind)
    sentence(data[: int(len(data) * share)])


def test_refuses_zero_bytes() -> None:
    assert "empty" in sentence(b"")


def test_refuses_too_many_bytes_before_looking_at_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaging, "MAX_BYTES", 1000)
    assert "MB" in sentence(encoded(star(), "BMP"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"just some text, no image at all", "not an image"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>', "export it as PNG"),
        (b"<svg width='10'></svg>", "export it as PNG"),
        (b"<!DOCTYPE html><html><body>no</body></html>", "web page"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x00\x00\x00\x18ftypheic" + b"\0" * 40, "HEIC"),
    ],
)
def test_names_what_is_not_an_image(data: bytes, said: str) -> None:
    assert said in sentence(data)


def test_refuses_a_zip() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mark.png", encoded(star()))
    assert "ZIP" in sentence(file.getvalue())


def test_refuses_formats_pillow_knows_but_we_do_not_take() -> None:
    sentence(encoded(star(), "PPM"))
    sentence(encoded(star(), "ICO"))


@pytest.mark.parametrize("side", [30_000, 7_000])
def test_refuses_a_bomb_fast_and_without_memory(side: int) -> None:
    bomb = png_header_claiming(side, side)
    tracemalloc.start()
    start = time.perf_counter()
    text = sentence(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "pixels" in text
    assert time.perf_counter() - start < 1 and peak < 20 * 2**20


def test_refuses_a_webp_bomb_by_its_header() -> None:
    data = bytearray(encoded(star(), "WEBP", lossless=True))
    assert data[12:16] == b"VP8L"
    data[21:25] = struct.pack("<I", (16383 - 1) | (16383 - 1) << 14)
    assert "16383 x 16383" in sentence(bytes(data))


def test_refuses_images_too_small_to_be_marks() -> None:
    assert "at least 8 x 8" in sentence(encoded(Image.new("RGB", (7, 50))))
    assert decode_image(encoded(Image.new("RGB", (8, 8)))).shape == (8, 8, 3)


def test_content_counts_not_the_name() -> None:
    # There is no name to be fooled by: the same bytes decode the same under any extension.
    assert decode_image(encoded(star(), "GIF")).shape == (200, 200, 3)


def test_animated_gif_gives_the_first_frame() -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)
    assert decode_image(data)[20, 20].tolist() == [255, 0, 0]


def cmyk_jpeg() -> bytes:
    """Pure cyan ink, written the way Adobe does: inverted, with its marker."""
    return encoded(Image.new("CMYK", (32, 32), (255, 0, 0, 0)), "JPEG", quality=100)


def test_cmyk_jpeg_with_adobes_inverted_ink() -> None:
    red, green, blue = decode_image(cmyk_jpeg())[16, 16].tolist()
    assert red < 20 and green > 235 and blue > 235


def test_cmyk_jpeg_without_adobes_marker_is_not_inverted() -> None:
    data = cmyk_jpeg()
    at = data.index(b"\xff\xee")
    length = struct.unpack(">H", data[at + 2 : at + 4])[0]
    plain = data[:at] + data[at + 2 + length :]
    red, green, blue = decode_image(plain)[16, 16].tolist()
    # The stored samples are inverted: read literally they are magenta + yellow + black ink.
    assert max(red, green, blue) < 20


def test_cmyk_tiff() -> None:
    data = encoded(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "TIFF")
    assert decode_image(data)[16, 16].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_cut_off(kind: str) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    got = decode_image(encoded(Image.fromarray(ramp), kind))[:, :, 0]
    np.testing.assert_allclose(got, ramp / 257, atol=0.51)


def test_float_tiff_is_scaled() -> None:
    ramp = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    got = decode_image(encoded(Image.fromarray(ramp), "TIFF"))[:, :, 0]
    np.testing.assert_allclose(got, ramp * 255, atol=0.51)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_plain_modes(mode: str) -> None:
    got = decode_image(encoded(star().convert(mode)))
    assert got[100, 100].max() < 30 and got[2, 2].min() > 225


def test_palette_with_alpha_is_laid_on_white() -> None:
    image = Image.new("P", (40, 40), 0)
    image.putpalette([0, 0, 0, 200, 0, 0] + [0] * 750)
    image.paste(1, (10, 10, 30, 30))
    got = decode_image(encoded(image, transparency=0))
    assert got[2, 2].tolist() == [255, 255, 255] and got[20, 20].tolist() == [200, 0, 0]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_dark_ink_on_nothing_is_laid_on_white(mode: str) -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (10, 10, 30, 30))
    got = decode_image(encoded(image.convert(mode)))
    assert got[2, 2].tolist() == [255, 255, 255] and got[20, 20].tolist() == [0, 0, 0]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_white_ink_on_nothing_is_laid_on_black(mode: str) -> None:
    image = Image.new("RGBA", (40, 40), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (10, 10, 30, 30))
    got = decode_image(encoded(image.convert(mode)))
    assert got[2, 2].tolist() == [0, 0, 0] and got[20, 20].tolist() == [255, 255, 255]


def test_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (60, 30), "white")
    image.paste((0, 0, 0), (0, 0, 20, 30))  # ink at the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: left becomes top
    got = decode_image(encoded(image, "JPEG", exif=exif, quality=95))
    assert got.shape == (60, 30, 3)
    assert got[5].mean() < 40 and got[50].mean() > 215


def test_big_images_are_reduced_and_their_size_remembered() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind, options in (("PNG", {}), ("JPEG", {"exif": exif})):
        big = star(500, at=(250, 250), radius=200).resize((5000, 2500))
        picture = decode_picture(encoded(big, kind, **options))
        turned = kind == "JPEG"
        assert (picture.width, picture.height) == ((2500, 5000) if turned else (5000, 2500))
        assert max(picture.pixels.shape[:2]) <= imaging.DESCRIBED_SIDE
        high, wide = picture.pixels.shape[:2]
        assert wide / high == pytest.approx(picture.width / picture.height, rel=0.01)


def test_reducing_palette_and_16_bit_images_too() -> None:
    grey = Image.fromarray(np.full((1200, 1500), 40_000, np.uint16))
    picture = decode_picture(encoded(grey))
    assert max(picture.pixels.shape[:2]) <= imaging.DESCRIBED_SIDE
    assert picture.width == 1500 and abs(int(picture.pixels[5, 5, 0]) - 156) <= 1


@pytest.mark.parametrize("seed", range(6))
def test_random_damage_never_escapes_as_another_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for kind in FORMATS:
        data = bytearray(encoded(star(), kind))
        for place in rng.integers(0, len(data), 12):
            data[place] = rng.integers(0, 256)
        try:
            decode_image(bytes(data))
        except ImageRefused as refused:
            assert str(refused).endswith(".")
