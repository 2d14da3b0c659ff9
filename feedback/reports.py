"""The examiner's report as PDF and CSV: what was asked, what was found, what was chosen, by whom, with what."""

import csv
import io
import json
import unicodedata
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import typst
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from feedback.fonts import fonts, printable
from feedback.models import Conclusion, Report
from feedback.pictures import FRAME, picture
from feedback.selectors import last_change, selection_of
from feedback.services import Overtaken, must_conclude, search_conclude
from search import media
from search.models import Search, SearchResult
from search.selectors import results_of
from search.services import preview_name
from search.templatetags.portal import descriptor

_LAYOUT = Path(__file__).with_name("report.typ")
_MM = 72 / 25.4
"""Points in a millimetre."""
_QUERY, _THUMBNAIL = 50 * _MM, 22 * _MM


@dataclass(frozen=True)
class ReportContent:
    search: Search
    results: list[SearchResult]
    by: str
    at: datetime

    @property
    def stamps(self) -> list[tuple[str, str]]:
        search = self.search
        return [
            ("Query", search.image_name or "image"),
            ("Search", str(search.pk)),
            ("Made", moment(search.created_at)),
            ("Reported", moment(self.at)),
            ("Examiner", self.by),
            ("Filters", filters_in_words(search.filters)),
            ("Depth", search.get_depth_display()),
            ("Marks searched", f"{search.scanned:,}"),
            ("Pre-selection", "none shown" if search.plain else f"from {100 * (search.threshold or 0):.1f} %"),
            ("Parameter set", f"P{search.parameter_set_id}"),
            ("Snapshot", search.snapshot),
        ]


def moment(at: datetime) -> str:
    """In the office's time zone (`TM_TIME_ZONE`), which is named."""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M %Z}"


def filters_in_words(filters: dict[str, Any]) -> str:
    parts = []
    if filters.get("nice"):
        parts.append("Nice class " + ", ".join(map(str, filters["nice"])))
    if filters.get("jurisdictions"):
        parts.append("jurisdiction " + ", ".join(filters["jurisdictions"]))
    if filters.get("statuses"):
        parts.append("status " + ", ".join(filters["statuses"]))
    if filters.get("filed_from"):
        parts.append(f"filed from {filters['filed_from']}")
    if filters.get("filed_to"):
        parts.append(f"filed to {filters['filed_to']}")
    return "; ".join(parts) or "none"


def report_make(*, search: Search, user: Any) -> Report:
    """Conclude the search and write its report. The search counts as evidence from here on.

    The files are on disk before the transaction begins, for whose end everybody who writes waits; should a selection
    change meanwhile, they are made again.
    """
    must_conclude(search, user)
    while True:
        last = last_change(search)
        numbers = selection_of(search, through=last).numbers
        content = ReportContent(
            search=search,
            results=list(results_of(search).filter(mark__number__in=numbers)),
            by=user.get_full_name() or user.get_username(),
            at=timezone.now(),
        )
        base = f"reports/{search.pk.hex[:2]}/{search.pk.hex}-{uuid.uuid4().hex[:12]}"
        pdf = media.write(f"{base}.pdf", render_pdf(content))
        table = media.write(f"{base}.csv", render_csv(content))
        try:
            with transaction.atomic():
                conclusion = search_conclude(search=search, kind=Conclusion.Kind.REPORT, user=user, after=last)
                return Report.objects.create(conclusion=conclusion, pdf=pdf, csv=table)
        except Overtaken:
            media.remove(pdf)
            media.remove(table)


_CSV_HEAD = (
    *("rank", "number", "name", "owner", "nice_classes", "jurisdiction", "status", "filing_date", "score"),
    *("preselected", "refined", "search", "query", "filters", "examiner", "reported", "parameter_set", "snapshot"),
)
_DESCRIPTORS_AT = _CSV_HEAD.index("preselected")


def render_csv(content: ReportContent) -> bytes:
    """One row per selected mark; the stamps stand in every row, so that a row is evidence by itself.

    Numbers and dates are written as such; everything else is text, and stays text in a spreadsheet.
    """
    names = _descriptor_names(content.results)
    out = io.StringIO()
    writer = csv.writer(out)
    head = [*_CSV_HEAD[:_DESCRIPTORS_AT], *names, *_CSV_HEAD[_DESCRIPTORS_AT:]]
    search = content.search
    stamps = [search.pk, search.image_name, filters_in_words(search.filters), content.by]
    stamps += [timezone.localtime(content.at).isoformat(timespec="seconds"), f"P{search.parameter_set_id}"]
    rows = []
    for result in content.results:
        mark = result.mark
        row: list[Any] = [result.position, mark.number, mark.name, mark.owner, " ".join(map(str, mark.nice_classes))]
        row += [mark.jurisdiction, mark.status, mark.filing_date, _percent(result.score)]
        row += [_percent(result.similarities.get(name)) for name in names]
        rows.append([*row, result.preselected, result.refined, *stamps, search.snapshot])
    for cells in [head, *rows]:
        writer.writerow([_no_formula(cell) for cell in cells])
    return out.getvalue().encode("utf-8-sig")


_FORMULA = frozenset("=+-@\u2212")
_CONTROLS = frozenset(chr(point) for point in (*range(0x20), *range(0x7F, 0xA0)))
_SKIPPED = _CONTROLS | {" ", "\u00a0", "\u200b", "\u200e", "\u200f", "\u2060", "\u3000", "\ufeff"}


def _no_formula(cell: Any) -> Any:
    """A name such as '=cmd|...' must stay text when a spreadsheet opens the file; an empty cell stays empty.

    Spreadsheets skip spaces and control characters before a formula and read its full-width and small forms alike.
    """
    if not isinstance(cell, str):
        return cell
    bare = unicodedata.normalize("NFKC", cell).lstrip("".join(_SKIPPED))
    return f"'{cell}" if bare[:1] in _FORMULA or cell[:1] in _CONTROLS else cell


def _descriptor_names(results: list[SearchResult]) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in result.similarities))


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 1)


def render_pdf(content: ReportContent) -> bytes:
    """Laid out by report.typ, which embeds what it needs of the fonts: any script can be read anywhere."""
    search = content.search
    count = len(content.results)
    report = {
        "title": f"Trade mark search report {search.pk}",
        "author": printable(content.by),
        "footer": f"Search {search.pk}  ·  P{search.parameter_set_id}  ·  snapshot {search.snapshot}",
        "frame": FRAME,
        "query": picture(preview_name(search.image), _QUERY, alt="The mark that was searched for"),
        "stamps": [[label, printable(value)] for label, value in content.stamps],
        "count": f"{count} mark{'' if count == 1 else 's'} selected",
        "rows": [_row(search, result, _descriptor_names(content.results)) for result in content.results],
    }
    return lay_out(report, at=content.at)


def lay_out(report: dict[str, Any], *, at: datetime) -> bytes:
    """The PDF of what report.typ reads; `at` is when it says that it was made."""
    return typst.compile(  # type: ignore[type-var]  # its stub wants one type for layout and root
        _LAYOUT.read_bytes(), root=str(settings.MEDIA_ROOT), font_paths=fonts(), ignore_system_fonts=True,
        sys_inputs={"report": json.dumps(report)}, timestamp=at.replace(microsecond=0),
    )  # fmt: skip


def _row(search: Search, result: SearchResult, names: list[str]) -> dict[str, Any]:
    """One mark. Where a part matches best, query and mark stand side by side with that part framed."""
    mark = result.mark
    asked, found = result.boxes or (None, None)
    part = picture(preview_name(search.image), _THUMBNAIL, asked, (search.width, search.height)) if asked else None
    origin = "pre-selected" if result.preselected else "added by the examiner"
    details = [
        mark.name,
        mark.number,
        mark.owner,
        "Nice " + ", ".join(map(str, mark.nice_classes)) if mark.nice_classes else "",
        " · ".join(filter(None, [mark.jurisdiction, mark.status, str(mark.filing_date or "")])),
    ]
    why = [(descriptor(name), _percent(result.similarities.get(name))) for name in names]
    return {
        "rank": "–" if result.refined else str(result.position),
        "part": part,
        "mark": picture(
            media.thumbnail_name(mark.image), _THUMBNAIL, found, (mark.width, mark.height), alt=printable(mark.name)
        ),
        "details": [printable(one) for one in details if one],
        "score": [
            f"{_percent(result.score)} %",
            "found by refining, added by the examiner" if result.refined else origin,
        ],
        "why": "; ".join(f"{word} {'-' if value is None else value}" for word, value in why),
    }
