"""The report's PDF, drawn by a PDF renderer and looked at pixel by pixel."""

from typing import Any

import numpy as np
import pypdfium2
import pytest
from django.utils import timezone

from feedback.pictures import FRAME, picture
from feedback.reports import lay_out, report_make
from search import media
from search.models import SearchResult
from search.services import preview_name
from tests.factories import done_search

DOTS = 3
"""Pixels per point of the drawn page."""
BLUE = (90, 120, 150)  # no edge of a letter has it
BOX, SIZE = [200, 100, 300, 200], (400, 200)


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Any) -> Any:
    settings.MEDIA_ROOT = tmp_path
    media.write("blue.webp", media.thumbnail_bytes(np.full((100, 200, 3), BLUE, np.uint8)))
    return tmp_path


def drawn(pdf: bytes) -> np.ndarray:
    """uint8 RGB (h, w, 3) of the first page."""
    return np.asarray(pypdfium2.PdfDocument(pdf)[0].render(scale=DOTS).to_pil().convert("RGB"))


def frame_of(page: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels in the frame's colour."""
    colour = np.array([int(FRAME[at : at + 2], 16) for at in (1, 3, 5)])
    return np.nonzero(np.abs(page.astype(int) - colour).max(axis=2) < 30)


def one_picture(box: Any) -> np.ndarray:
    shown = picture("blue.webp", 300, box, SIZE)
    assert shown is not None
    words = dict.fromkeys(("title", "author", "footer", "count"), "")
    page = {**words, "frame": FRAME, "query": shown, "stamps": [["", ""]], "rows": []}
    return drawn(lay_out(page, at=timezone.now()))


def test_the_frame_lies_around_the_box_in_the_originals_pixels() -> None:
    page = one_picture(BOX)
    rows, columns = frame_of(page)
    blue_rows, blue_columns = np.nonzero(np.abs(page.astype(int) - BLUE).max(axis=2) < 3)
    wide, high = np.ptp(blue_columns) + 1, np.ptp(blue_rows) + 1
    assert wide == pytest.approx(2 * high, rel=0.01)
    share = [
        (columns.min() - blue_columns.min()) / wide,
        (rows.min() - blue_rows.min()) / high,
        (columns.max() + 1 - blue_columns.min()) / wide,
        (rows.max() + 1 - blue_rows.min()) / high,
    ]
    np.testing.assert_allclose(share, [0.5, 0.5, 0.75, 1.0], atol=0.02)
    middle = page[(rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2]
    assert np.abs(middle.astype(int) - BLUE).max() < 3, "a frame, not a filled box"


def test_without_a_box_or_a_size_there_is_no_frame() -> None:
    assert not len(frame_of(one_picture(None))[0])
    assert picture("gone.webp", 300) is None


@pytest.mark.django_db
def test_the_report_frames_the_matching_parts_in_query_and_mark(examiner: Any, folder: Any) -> None:
    search = done_search(examiner, scores=[0.95, 0.9], threshold=0.8)
    search.width, search.height = SIZE
    search.save()
    blue = media.thumbnail_bytes(np.full((100, 200, 3), BLUE, np.uint8))
    media.write(preview_name(search.image), blue)
    for result in search.results.select_related("mark"):
        media.write(media.thumbnail_name(result.mark.image), blue)
        result.mark.width, result.mark.height = SIZE
        result.mark.save()
    without = frame_of(drawn((folder / report_make(search=search, user=examiner).pdf).read_bytes()))
    assert not len(without[0])
    SearchResult.objects.filter(search=search, rank=1).update(boxes=[[0, 0, 100, 200], BOX])
    page = drawn((folder / report_make(search=search, user=examiner).pdf).read_bytes())
    rows, columns = frame_of(page)
    frames = np.split(np.unique(columns), np.flatnonzero(np.diff(np.unique(columns)) > 20 * DOTS) + 1)
    assert np.ptp(rows) < 60 * DOTS, "only the row of the first mark"
    # A quarter of 22 mm wide each; the query's at the left of its picture, the mark's from its middle on.
    quarter = 22 / 25.4 * 72 / 4 * DOTS
    assert len(frames) == 2
    for frame in frames:
        assert np.ptp(frame) + 1 == pytest.approx(quarter, abs=2 * DOTS)
    assert frames[1].min() - frames[0].min() == pytest.approx(26 / 25.4 * 72 * DOTS + 2 * quarter, abs=2 * DOTS)
