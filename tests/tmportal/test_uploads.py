"""Uploads of every format, mode and size, up to the limit and one byte over."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from search.models import Search
from search.retrieval.imaging import MAX_BYTES
from tests import pictures

pytestmark = pytest.mark.django_db

MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "GIF": ("L", "P", "RGB"),
    "BMP": ("1", "L", "P", "RGB"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F"),
    "WEBP": ("RGB", "RGBA"),
}


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def image(form: str, mode: str, size: int) -> bytes:
    """A drawn mark in this format and mode, of exactly `size` bytes: what follows an image's end is not looked at."""
    drawn = pictures.mark(3).resize((64, 64))
    drawn = drawn.convert("L").convert(mode) if mode.startswith(("I", "F")) else drawn.convert(mode)
    data = pictures.encoded(drawn, form)
    assert len(data) <= size
    return data + bytes(size - len(data))


def post(api: APIClient, data: bytes, **fields: str) -> Any:
    form = {"image": SimpleUploadedFile("q.img", data), **fields}
    return api.post("/api/searches/", form, format="multipart")


@pytest.mark.parametrize(("form", "mode"), [(form, mode) for form, modes in MODES.items() for mode in modes])
def test_every_format_and_mode_is_taken_small_and_large(api: APIClient, form: str, mode: str) -> None:
    for size in (20_000, 3_700_000):
        answer = post(api, image(form, mode, size))
        assert answer.status_code == 201, answer.content
        assert (answer.json()["width"], answer.json()["height"]) == (64, 64)


@pytest.mark.parametrize("size", [1_000, 2_621_440, 2_621_441, MAX_BYTES - 1, MAX_BYTES])
def test_every_size_up_to_the_limit_is_taken_and_kept_as_it_is(api: APIClient, tmp_path: Path, size: int) -> None:
    data = image("PNG", "L", size)
    # What a browser sends with it: dates left empty, and filters chosen.
    answer = post(api, data, filed_from="", filed_to="2024-01-01", nice="9,25", jurisdiction="EM")
    assert answer.status_code == 201, answer.content
    search = Search.objects.get(pk=answer.json()["id"])
    assert (tmp_path / search.image).read_bytes() == data
    assert search.filters["filed_from"] is None and search.filters["nice"] == [9, 25]


@pytest.mark.parametrize("over", [1, 65_536, 10 * 2**20])
def test_what_is_over_the_limit_is_refused_with_one_sentence(api: APIClient, tmp_path: Path, over: int) -> None:
    answer = post(api, image("PNG", "L", MAX_BYTES + over))
    error = answer.json()["error"]
    assert answer.status_code in (400, 413) and set(error) == {"code", "message", "fields"}
    assert "20 MB" in error["message"] and "maller" in error["message"]
    assert not Search.objects.exists() and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["nice", "jurisdiction", "filed_from", "depth", "other"])
def test_a_second_large_file_in_any_field_is_an_answer_not_a_failure(api: APIClient, name: str) -> None:
    big = SimpleUploadedFile(f"{uuid.uuid4()}.png", image("PNG", "L", 3_000_000))
    answer = api.post(
        "/api/searches/",
        {"image": SimpleUploadedFile("q.png", image("PNG", "L", 5_000)), name: big},
        format="multipart",
    )
    assert answer.status_code in ((201,) if name == "other" else (400,)), answer.content
