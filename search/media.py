"""Files of the register and of searches, under MEDIA_ROOT. They are on disk before the rows that name them."""

import hashlib
import io
import re
from pathlib import Path
from urllib.parse import quote

import numpy as np
from django.conf import settings
from django.urls import reverse
from PIL import Image

from search.retrieval.durable import remove_whole, sync, write_whole

_DIGEST = re.compile("[0-9a-f]{64}")
THUMBNAIL_SIDE = 256
PREVIEW_SIDE = 512
# A picture may be kept by the browser that asked, but is shown again only after the service was asked: who has logged
# out, or lost the right to see it, does not see it from the cache.
SERVED_HEADERS = {"Cache-Control": "private, no-cache"}


def path_of(name: str) -> Path:
    """The file behind a stored name. Stored names are ours, but a stray '..' must still not escape."""
    root = Path(settings.MEDIA_ROOT).resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise ValueError(f"{name} lies outside the media directory.")
    return path


def write(name: str, data: bytes) -> str:
    """Whole and on disk when this returns."""
    write_whole(path_of(name), data)
    return name


def write_cache(name: str, data: bytes) -> None:
    """Whole, but a power cut may take or damage it: for what can be made again, and whose reader notices."""
    write_whole(path_of(name), data, synced=False)


def remove(name: str) -> None:
    remove_whole(path_of(name))


class Damaged(FileNotFoundError):  # noqa: N818  a finding, not a fault
    """The file is not what was written: as good as gone."""


def read(name: str, *, sha256: str = "") -> bytes:
    """The file's bytes; Damaged when they are not those of this digest. Raises OSError."""
    data = path_of(name).read_bytes()
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise Damaged(f"{name} has changed since it was written")
    return data


def read_named(path: Path) -> bytes:
    """The bytes of a file; Damaged where it is named by a digest, as a mark's image is, that is not theirs."""
    data = path.read_bytes()
    if _DIGEST.fullmatch(path.name) and hashlib.sha256(data).hexdigest() != path.name:
        raise Damaged(f"{path} has changed since it was written")
    return data


def thumbnail_bytes(pixels: np.ndarray, side: int = THUMBNAIL_SIDE) -> bytes:
    """Lossless WebP, at most `side` px. Pixels are re-encoded: what a stranger sent is never served."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    # The least effort: a twelfth more bytes than the most, in a fifth of the time where a photograph is sent.
    image.save(out, "WEBP", lossless=True, method=1, quality=0)
    return out.getvalue()


def mark_image_write(data: bytes, pixels: np.ndarray) -> tuple[str, str]:
    """Store a mark's image by its content. Returns (stored name, sha256); the same bytes are stored once."""
    digest = hashlib.sha256(data).hexdigest()
    name = mark_name(digest)
    thumbnail = thumbnail_name(name)
    if not path_of(thumbnail).is_file() or not _is_whole(name, digest):
        write(name, data)
        write(thumbnail, thumbnail_bytes(pixels))
    else:
        # Another process may have written them a moment ago and not have synced them yet.
        for path in (path_of(name), path_of(thumbnail), path_of(name).parent):
            sync(path)
    return name, digest


def mark_name(sha256: str) -> str:
    """Where a mark's image with this digest is kept."""
    return f"marks/{sha256[:2]}/{sha256}"


def _is_whole(name: str, digest: str) -> bool:
    try:
        read(name, sha256=digest)
    except FileNotFoundError:
        return False
    return True


def thumbnail_name(image: str) -> str:
    return f"{image}.thumb.webp"


def thumbnail_url(number: str) -> str:
    """The address of a mark's thumbnail. Clients drop `.`, `..` and empty parts of an address on their way, so a number
    that has such parts goes as one part, its slashes escaped."""
    slashes = "" if {".", "..", ""} & set(number.split("/")) else "/"
    before, after = reverse("mark-thumbnail", args=["-"]).split("/-/")
    return f"{before}/{quote(number, safe=slashes)}/{after}"
