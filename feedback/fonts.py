"""The fonts of the report, and what to write where none of them has a character."""

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

import manimgx_fonts
import manimgx_fonts_cjk
import typst
from fontTools.ttLib import TTFont

FOLDERS = [Path(package.__path__[0]) for package in (manimgx_fonts, manimgx_fonts_cjk)]
"""Noto Sans for nearly every script, as two packages publish it under the SIL Open Font License."""
_ENDLESS = re.compile(r"[!-,.-~\u00a1-\u06ff]{18}(?=[!-,.-~\u00a1-\u06ff])")
"""A word without an end: it may be broken here, so that it stays in its column."""
_INVISIBLE = {*range(0x200B, 0x2010), 0x2060, 0xFEFF, 0xAD, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
"""Joiners and variants: they have no shape of their own, and change that of their neighbours."""


@lru_cache(maxsize=1)
def fonts() -> typst.Fonts:
    """Read once for each process. The machine's own fonts are left out: a report looks the same everywhere."""
    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(folder) for folder in FOLDERS]
    )


@lru_cache
def _covered(folder: Path) -> frozenset[int]:
    """Code points that a font of this folder has a shape for. The members of a collection differ in style alone."""
    found: set[int] = set()
    for path in folder.glob("*.tt[fc]"):
        with TTFont(path, lazy=True, fontNumber=0) as font:
            found.update(font.getBestCmap())
    return frozenset(found)


def printable(text: str) -> str:
    """The text as the report can show it: a character without a shape stands as its code point, in words.

    So does one that would turn the order of its neighbours round; a break becomes a space.
    """
    shown = "".join(_shown(character) for character in unicodedata.normalize("NFC", text))
    return _ENDLESS.sub("\\g<0>\u200b", shown)


def _shown(character: str) -> str:
    point = ord(character)
    if " " <= character <= "~" or point in _INVISIBLE:
        return character
    if character.isspace():
        return " "
    kind = unicodedata.category(character)
    if kind not in ("Cc", "Cf", "Co", "Cs", "Cn") and any(point in _covered(folder) for folder in FOLDERS):
        return character
    return f"[U+{point:04X} {unicodedata.name(character, 'without a name').lower()}]"
