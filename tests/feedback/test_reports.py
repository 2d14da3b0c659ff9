"""The report in every script, and its CSV in a spreadsheet's eyes."""

import csv
import io
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
import pytest
from django.db import connection

from feedback import reports
from feedback.fonts import printable
from feedback.reports import report_make
from feedback.services import selection_set
from search import media
from search.errors import NotAllowed
from search.models import Mark, Search
from search.services import preview_name
from tests.factories import done_search

pytestmark = pytest.mark.django_db

SCRIPTS = {
    "Łódź Ostrów": "NotoSans", "Καφές Αθήνα": "NotoSans", "Кофе Москва": "NotoSans", "Ḿệ Việt": "NotoSans",
    "日本語ひらがなカタカナ": "NotoSansCJK", "한국어 상표": "NotoSansCJK", "商标 商標": "NotoSansCJK",
    "علامة تجارية": "NotoSansArabic", "סימן מסחר": "NotoSansHebrew", "เครื่องหมายการค้า": "NotoSansThai",
    "व्यापार चिह्न": "NotoSansDevanagari", "ქართული": "NotoSansGeorgian", "☕😀": "NotoEmoji",
}  # fmt: skip
READ_AS_WRITTEN = [name for name, font in SCRIPTS.items() if font in ("NotoSans", "NotoSansCJK", "NotoSansGeorgian")]


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Any) -> Any:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def named(owner: Any, names: list[str]) -> Search:
    search = done_search(owner, scores=[0.95] * len(names), threshold=0.8)
    for place, name in enumerate(names, start=1):
        Mark.objects.filter(number=f"M{place}").update(name=name, owner="")
    return search


def letters(pdf: bytes) -> list[tuple[str, str]]:
    """(character, name of its font) as the PDF says, page by page."""
    found = []
    for page in (document := pypdfium2.PdfDocument(pdf)):
        text = page.get_textpage()
        name = (pdfium.c_char * 200)()
        for at in range(text.count_chars()):
            size = pdfium.FPDFText_GetFontInfo(text.raw, at, name, len(name), None)
            found.append((chr(pdfium.FPDFText_GetUnicode(text.raw, at)), bytes(name)[: max(size - 1, 0)].decode()))
    document.close()
    return found


def pdf_of(search: Search, user: Any) -> bytes:
    return media.read(report_make(search=search, user=user).pdf)


def test_every_script_is_written_with_letters_of_its_own(examiner: Any) -> None:
    found = letters(pdf_of(named(examiner, list(SCRIPTS)), examiner))
    text = "".join(character for character, _ in found)
    for name in READ_AS_WRITTEN:
        assert name in text, name
    for name, font in SCRIPTS.items():
        used = {own.split("+")[-1] for character, own in found if character in name and not character.isascii()}
        assert any(own.startswith(font) for own in used), (name, used)
    assert len({font.split("+")[0] for _, font in found if "+" in font}) >= 8, "embedded as subsets"


def test_a_character_without_a_shape_is_named_and_none_turns_the_line_round(examiner: Any) -> None:
    odd = "A\ue000\U00013000\x07\u202egnp.exe"
    assert printable(odd) == (
        "A[U+E000 without a name][U+13000 egyptian hieroglyph a001][U+0007 without a name]"
        "[U+202E right-to-left override]gnp.exe"
    )
    assert printable("Łódź ☕\tx") == "Łódź ☕ x"
    text = "".join(character for character, _ in letters(pdf_of(named(examiner, [odd, "*x* #y $z$ <a> @b"]), examiner)))
    assert "U+13000 egyptian" in text and "\u202e" not in text
    assert "*x* #y $z$ <a> @b" in text, "what is typed is never read as markup"


def test_a_word_without_an_end_stays_in_its_column(examiner: Any) -> None:
    pdf = pdf_of(named(examiner, ["@" * 150 + "Ж" * 50]), examiner)
    page = pypdfium2.PdfDocument(pdf)[0]
    text = page.get_textpage()
    right = [text.get_charbox(at)[2] for at in range(text.count_chars()) if text.get_text_range(at, 1) in "@Ж"]
    score = text.get_charbox(text.get_text_range().index("Score"))[0]
    assert len(right) >= 200 and max(right) < score


def test_a_damaged_picture_costs_the_picture_and_not_the_report(examiner: Any) -> None:
    search = named(examiner, ["A"])
    media.write(preview_name(search.image), b"RIFF\x10\x00\x00\x00WEBPVP8L")
    assert "no longer on file" in "".join(character for character, _ in letters(pdf_of(search, examiner)))


def test_times_are_the_offices_and_name_their_zone(examiner: Any, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Kolkata"
    search = named(examiner, ["A"])
    Search.objects.filter(pk=search.pk).update(created_at="2026-01-31T20:15:00Z")
    search.refresh_from_db()
    report = report_make(search=search, user=examiner)
    text = "".join(character for character, _ in letters(media.read(report.pdf)))
    assert "2026-02-01 01:45 IST" in text and "UTC" not in text
    assert "+05:30" in media.read(report.csv).decode()


HOSTILE = [
    "=1+1", "+1", "-1+1", "@SUM(A1)", "＝1+1", "＋1", "－1", "＠x", "﹦1", "−1+cmd", " =1", "\t=1", "\r=1", "\n+1",
    "\u3000=1", "\ufeff=1", "\u200b=1", "\x00=1", "\tplain", "-1.5",
]  # fmt: skip


def cells(search: Search, user: Any) -> list[dict[str, str]]:
    data = media.read(report_make(search=search, user=user).csv).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(data, newline="")))


def test_what_a_spreadsheet_would_calculate_stays_text(examiner: Any) -> None:
    plain = ["", "Łódź", "3=4", "a-b", "'=x", "·=1"]
    # PostgreSQL keeps no NUL in a text, so none can come from there.
    hostile = [name for name in HOSTILE if connection.vendor == "sqlite" or "\x00" not in name]
    rows = cells(named(examiner, hostile + plain), examiner)
    assert [row["name"] for row in rows] == [f"'{name}" for name in hostile] + plain


def test_empty_cells_are_empty_and_numbers_are_numbers(examiner: Any) -> None:
    search = named(examiner, ["A", "B"])
    search.results.filter(rank=2).update(similarities={"general": None, "edges": -0.015})
    rows = cells(search, examiner)
    assert not any("'" in cell for row in rows for cell in row.values())
    assert rows[0]["owner"] == rows[0]["filing_date"] == rows[1]["general"] == ""
    assert (rows[0]["score"], rows[1]["edges"]) == ("95.0", "-1.5")
    assert all(name and name[0].isalpha() for name in rows[0])


def test_the_report_counts_as_the_selection_does(examiner: Any) -> None:
    search = named(examiner, ["A", "B", "C"])
    selection_set(search=search, number="M2", selected=False, user=examiner)
    text = "".join(character for character, _ in letters(pdf_of(search, examiner)))
    assert "2 marks selected" in text and len(cells(search, examiner)) == 2


def test_what_is_changed_while_the_report_is_drawn_is_in_it(
    examiner: Any, folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = named(examiner, ["First", "Second"])
    render, drawn = reports.render_pdf, []

    def slow(content: reports.ReportContent) -> bytes:
        if not drawn:
            selection_set(search=search, number="M2", selected=False, user=examiner)
        drawn.append([result.mark.number for result in content.results])
        return render(content)

    monkeypatch.setattr(reports, "render_pdf", slow)
    report = report_make(search=search, user=examiner)
    assert drawn == [["M1", "M2"], ["M1"]]
    kept = {str(path.relative_to(folder)) for path in (folder / "reports").rglob("*.*")}
    assert kept == {report.pdf, report.csv}, "what was overtaken is gone"
    assert report.conclusion.impressions.filter(outcome="removed").count() == 1


def test_a_report_is_drawn_and_on_disk_before_others_have_to_wait_for_it(
    examiner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = named(examiner, ["First"])
    inside: list[bool] = []
    outermost = len(connection.savepoint_ids)
    write = media.write

    def watched(name: str, data: bytes) -> str:
        inside.append(len(connection.savepoint_ids) > outermost)
        return write(name, data)

    monkeypatch.setattr(media, "write", watched)
    report_make(search=search, user=examiner)
    assert inside == [False, False]


def test_nothing_is_drawn_for_who_may_not_conclude(examiner: Any, make_user: Any, folder: Any) -> None:
    with pytest.raises(NotAllowed):
        report_make(search=named(examiner, ["First"]), user=make_user("other"))
    assert not (folder / "reports").exists()
