"""What bytes are when they are not a picture we take, and what a WebP claims before it is opened."""

from __future__ import annotations

_ACCEPTED = "Send a PNG, JPEG, GIF, BMP, TIFF or WebP image."
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "This is a PDF document, not an image; export the page with the mark as PNG."),
    (
        b"PK\x03\x04",
        "This is a ZIP archive or office document, not an image; unpack it and send the image.",
    ),
    (b"\x1f\x8b", "This is a compressed archive, not an image; unpack it and send the image."),
    (b"%!PS", "This is a PostScript drawing; export it as PNG."),
    (b"8BPS", "This is a Photoshop file; export it as PNG."),
)


def not_a_picture(data: bytes) -> str:
    """A sentence that names what the bytes look like and what to do."""
    for signature, sentence in _SIGNATURES:
        if data.startswith(signature):
            return sentence
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head:
        return "This is an SVG drawing; export it as PNG and send that."
    if head.startswith((b"<!doctype html", b"<html")) or b"<html" in head[:512]:
        return "This is a web page, not an image; save the image itself and send that."
    if data[4:12] in (b"ftypavif", b"ftypheic", b"ftypheix", b"ftypmif1"):
        return "This is a HEIC or AVIF image, which is not accepted; export it as PNG or JPEG."
    return f"This is not an image that can be read. {_ACCEPTED}"


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height a WebP header claims; None when the bytes are no WebP or too short to tell.

    Layout: RFC 9649, sections 2.5 to 2.7.
    """
    if len(data) < 30 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    if kind == b"VP8 ":
        return (
            int.from_bytes(data[26:28], "little") & 0x3FFF,
            int.from_bytes(data[28:30], "little") & 0x3FFF,
        )
    return None
