"""Invented register entries for the demonstration marks: the same ones in every run."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.iconify.families import Member
from benchmarks.iconify.names import VARIANT_WORDS, brand_key, name_words
from benchmarks.iconify.select import seeded

# The shares are made up: mostly EU marks, mostly registered, as a European office would see.
_JURISDICTIONS = {
    "EM": 34,
    "US": 18,
    "GB": 10,
    "DE": 10,
    "FR": 8,
    "WO": 7,
    "CN": 6,
    "JP": 4,
    "IT": 2,
    "KR": 1,
}
_STATUSES = {"registered": 74, "expired": 10, "pending": 8, "opposed": 5, "cancelled": 3}
_FORMS = {
    "EM": ("B.V.", "S.A.", "GmbH", "S.r.l.", "AB"),
    "US": ("Inc.", "LLC", "Corp."),
    "GB": ("Ltd", "plc"),
    "DE": ("GmbH", "AG"),
    "FR": ("SAS", "SA"),
    "WO": ("SA", "Ltd", "AG"),
    "CN": ("Co., Ltd.",),
    "JP": ("K.K.",),
    "IT": ("S.p.A.", "S.r.l."),
    "KR": ("Co., Ltd.",),
}
_TRADES = (
    "Holdings",
    "Group",
    "International",
    "Brands",
    "Trading",
    "Industries",
    "Labs",
    "Systems",
    "Partners",
)
_NAMES = """
Abelard Brockhurst Calloway Dunmore Eskola Fairburn Grünfeld Hallström Ivarsson Jessop Kowalczyk Lindqvist
Marchetti Nakatani Oyelaran Pemberton Quintero Rasmussen Silvestri Thornbury Ulvestad Verhoeven Westerly
Xiangyu Yardley Zielinski
"""
_SURNAMES = tuple(_NAMES.split())
# Nice classes by what a pack is about; the other marks draw from the whole list of 45.
_SOFTWARE, _FINANCE = (9, 42, 35, 38, 41), (36, 9, 42, 35)
_COIN_PACKS = ("token", "token-branded", "cryptocurrency", "cryptocurrency-color")
_CODE_PACKS = ("devicon", "devicon-plain", "skill-icons", "vscode-icons", "file-icons", "unjs", "logos")
_LAST_DAY = datetime.date(2026, 6, 30)


@dataclass(frozen=True)
class RegisterRow:
    """One line of the demonstration register."""

    number: str
    name: str
    owner: str
    nice_classes: tuple[int, ...]
    jurisdiction: str
    status: str
    filing_date: datetime.date


class Titles:
    """Readable names: words that one pack runs together are parted as another pack parts them."""

    def __init__(self, icons: Iterable[str]) -> None:
        self._parted: dict[str, list[str]] = {}
        for icon in sorted(icons):
            words = _brand_words(icon)
            if len(words) > len(self._parted.get("".join(words), [])):
                self._parted["".join(words)] = words

    def title(self, icon: str) -> str:
        """`adobeillustrator` -> `Adobe Illustrator`."""
        words = self._parted.get(brand_key(icon)) or _brand_words(icon)
        return " ".join(_capital(word) for word in words)


def _brand_words(icon: str) -> list[str]:
    words = name_words(icon)
    if "logo" in words[1:]:
        words = words[: words.index("logo", 1)]
    return [word for word in words if word not in VARIANT_WORDS] or words


def _capital(word: str) -> str:
    # "css", "html5": without a vowel it is read letter by letter.
    return word.upper() if len(word) <= 4 and not re.search(r"[aeiouy]", word) else word[:1].upper() + word[1:]


def register_rows(members: Sequence[Member], titles: Titles) -> list[RegisterRow]:
    """Invent an entry for each mark from a hash of its `pack:icon`; numbers are unique."""
    taken: set[str] = set()
    rows = []
    for prefix, icon in members:
        row = _row(prefix, icon, titles.title(icon), taken)
        taken.add(row.number)
        rows.append(row)
    return rows


def _row(prefix: str, icon: str, name: str, taken: set[str]) -> RegisterRow:
    def draw(what: str, below: int) -> int:
        return seeded("register", prefix, icon, what) % below

    def pick(what: str, shares: dict[str, int]) -> str:
        left = draw(what, sum(shares.values()))
        for value, share in shares.items():
            left -= share
            if left < 0:
                return value
        raise AssertionError(what)

    jurisdiction, status = pick("jurisdiction", _JURISDICTIONS), pick("status", _STATUSES)
    # A pending mark is young; an expired one was not renewed after its ten years.
    years_back = {"pending": (0, 2), "opposed": (0, 3), "expired": (11, 38)}.get(status, (1, 30))
    days = years_back[0] * 365 + draw("date", (years_back[1] - years_back[0]) * 365)
    filed = _LAST_DAY - datetime.timedelta(days=days)
    serial = draw("serial", 900_000) + 1
    while (number := f"TM-{filed.year}-{serial:06d}") in taken:
        serial += 1
    form = _FORMS[jurisdiction][draw("form", len(_FORMS[jurisdiction]))]
    trade = _TRADES[draw("trade", len(_TRADES))]
    surname, partner = (_SURNAMES[draw(what, len(_SURNAMES))] for what in ("surname", "partner"))
    owners = (
        f"{name} {trade} {form}",
        f"{name} {form}",
        f"{surname} {trade} {form}",
        f"{surname} & {partner} {form}" if surname != partner else f"{surname} & Sons {form}",
    )
    classes = _FINANCE if prefix in _COIN_PACKS else _SOFTWARE if prefix in _CODE_PACKS else tuple(range(1, 46))
    nice = {classes[draw(f"class {n}", len(classes))] for n in range(1 + draw("classes", 4))}
    return RegisterRow(
        number=number,
        name=name,
        owner=owners[draw("owner", len(owners))],
        nice_classes=tuple(sorted(nice)),
        jurisdiction=jurisdiction,
        status=status,
        filing_date=filed,
    )
