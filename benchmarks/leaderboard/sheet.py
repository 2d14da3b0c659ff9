"""A contact sheet: queries with their first results, hits framed green. PIL only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from search.retrieval.imaging import decode_picture

THUMB, GAP, FRAME = 96, 12, 4
_LABEL, _TITLE = 132, 34
_INK, _GREY, _GREEN, _LINE = "#1d2430", "#667085", "#1a8f4c", "#d5dae1"


@dataclass(frozen=True)
class Shown:
    """A query, its AP@100, its number of relatives, and its first results with whether they are relatives."""

    query: Path
    ap: float
    relatives: int
    results: Sequence[tuple[Path, bool]]


def draw_sheet(sections: Mapping[str, Sequence[Shown]], path: Path) -> None:
    """Write a PNG: one band for each section, one line for each query."""
    most = max((len(shown.results) for rows in sections.values() for shown in rows), default=0)
    cell = THUMB + GAP
    width = GAP + _LABEL + cell + 2 * GAP + most * cell
    height = GAP + sum(_TITLE + len(rows) * cell for rows in sections.values())
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    y = GAP
    for title, rows in sections.items():
        pen.text((GAP, y + 4), title, fill=_INK, font=ImageFont.load_default(18))
        y += _TITLE
        for shown in rows:
            _line(sheet, pen, shown, y)
            y += cell
    sheet.quantize(128).save(path, optimize=True)


def _line(sheet: Image.Image, pen: ImageDraw.ImageDraw, shown: Shown, y: int) -> None:
    hits = sum(hit for _, hit in shown.results)
    pen.text((GAP, y + 26), f"AP@100 {100 * shown.ap:.0f} %", fill=_INK, font=ImageFont.load_default(14))
    words = f"{hits} of {shown.relatives} shown"
    pen.text((GAP, y + 48), words, fill=_GREY, font=ImageFont.load_default(12))
    x = GAP + _LABEL
    _thumb(sheet, pen, shown.query, (x, y), _INK, 2)
    x += THUMB + 3 * GAP
    for path, hit in shown.results:
        _thumb(sheet, pen, path, (x, y), _GREEN if hit else _LINE, FRAME if hit else 1)
        x += THUMB + GAP


def _thumb(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, path: Path, at: tuple[int, int], colour: str, frame: int
) -> None:
    picture = Image.fromarray(decode_picture(path.read_bytes()).pixels)
    room = THUMB - 2 * FRAME - 4
    fitted = ImageOps.pad(picture, (room, room), Image.Resampling.LANCZOS, color="white")
    sheet.paste(fitted, (at[0] + FRAME + 2, at[1] + FRAME + 2))
    pen.rectangle((at[0], at[1], at[0] + THUMB - 1, at[1] + THUMB - 1), outline=colour, width=frame)
