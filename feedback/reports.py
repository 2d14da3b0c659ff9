"""The examiner's report as PDF and CSV: what was asked, what was found, what was chosen, by whom, with what."""

import csv
import io
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from django.db import transaction
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from feedback.models import Conclusion, Report
from feedback.pictures import picture
from feedback.selectors import selection_of
from feedback.services import search_conclude
from search import media
from search.models import Search, SearchResult
from search.selectors import results_of
from search.services import preview_name
from search.templatetags.portal import descriptor

_THUMBNAIL = 22 * mm


@dataclass(frozen=True)
class ReportContent:
    search: Search
    results: list[SearchResult]
    by: str
    at: datetime
    conclusion_id: int

    @property
    def stamps(self) -> list[tuple[str, str]]:
        search = self.search
        return [
            ("Query", search.image_name or "image"),
            ("Search", str(search.pk)),
            ("Made", f"{search.created_at:%Y-%m-%d %H:%M} UTC"),
            ("Reported", f"{self.at:%Y-%m-%d %H:%M} UTC"),
            ("Examiner", self.by),
            ("Filters", filters_in_words(search.filters)),
            ("Depth", search.get_depth_display()),
            ("Marks searched", f"{search.scanned:,}"),
            ("Pre-selection", "none shown" if search.plain else f"from {100 * (search.threshold or 0):.1f} %"),
            ("Parameter set", f"P{search.parameter_set_id}"),
            ("Snapshot", search.snapshot),
        ]


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
    """Conclude the search and write its report. The search counts as evidence from here on."""
    with transaction.atomic():
        conclusion = search_conclude(search=search, kind=Conclusion.Kind.REPORT, user=user)
        numbers = selection_of(search, through=conclusion.last_change).numbers
        content = ReportContent(
            search=search,
            results=[result for result in results_of(search) if result.mark.number in numbers],
            by=user.get_full_name() or user.get_username(),
            at=conclusion.at,
            conclusion_id=conclusion.pk,
        )
        base = f"reports/{search.pk.hex[:2]}/{search.pk.hex}-{conclusion.pk}"
        return Report.objects.create(
            conclusion=conclusion,
            pdf=media.write(f"{base}.pdf", render_pdf(content)),
            csv=media.write(f"{base}.csv", render_csv(content)),
        )


def render_csv(content: ReportContent) -> bytes:
    """One row per selected mark; the stamps stand in every row, so that a row is evidence by itself."""
    names = _descriptor_names(content.results)
    out = io.StringIO()
    writer = csv.writer(out)
    head = [
        "rank",
        "number",
        "name",
        "owner",
        "nice_classes",
        "jurisdiction",
        "status",
        "filing_date",
        "score",
        *names,
    ]
    writer.writerow(
        [
            *head,
            "preselected",
            "refined",
            "search",
            "query",
            "filters",
            "examiner",
            "reported",
            "parameter_set",
            "snapshot",
        ]
    )
    search = content.search
    for result in content.results:
        mark = result.mark
        row = [
            result.position,
            mark.number,
            mark.name,
            mark.owner,
            " ".join(map(str, mark.nice_classes)),
            mark.jurisdiction,
        ]
        row += [mark.status, mark.filing_date or "", f"{100 * result.score:.1f}"]
        row += [_percent(result.similarities.get(name)) for name in names]
        row += [
            result.preselected,
            result.refined,
            search.pk,
            search.image_name,
            filters_in_words(search.filters),
            content.by,
        ]
        row += [content.at.isoformat(timespec="seconds"), f"P{search.parameter_set_id}", search.snapshot]
        writer.writerow([_no_formula(cell) for cell in row])
    return out.getvalue().encode("utf-8-sig")


def _no_formula(cell: Any) -> Any:
    """A name such as '=cmd|...' must stay text when a spreadsheet opens the file."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" else cell


def _descriptor_names(results: list[SearchResult]) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in result.similarities))


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def render_pdf(content: ReportContent) -> bytes:
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=18 * mm, rightMargin=18 * mm, topMargin=16 * mm, bottomMargin=18 * mm,
        title=f"Trade mark search report {content.conclusion_id}", author=content.by,
    )  # fmt: skip
    styles = getSampleStyleSheet()
    small = ParagraphStyle("small", parent=styles["BodyText"], fontSize=8, leading=10)

    def text(value: Any, style: ParagraphStyle = small) -> Paragraph:
        return Paragraph(escape(str(value)), style)

    stamps = Table([[text(label), text(value)] for label, value in content.stamps], colWidths=[34 * mm, 80 * mm])
    stamps.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("BOTTOMPADDING", (0, 0), (-1, -1), 1)]))
    query = picture(preview_name(content.search.image), 50 * mm) or text("(image no longer on file)")
    header = Table([[query, stamps]], colWidths=[58 * mm, 116 * mm], style=[("VALIGN", (0, 0), (-1, -1), "TOP")])
    count = len(content.results)
    story: list[Flowable] = [
        text("Trade mark search report", styles["Title"]),
        header,
        Spacer(1, 6 * mm),
        text(f"{count} mark{'' if count == 1 else 's'} selected", styles["Heading2"]),
    ]
    if content.results:
        story.append(_result_table(content.search, content.results, text))
    else:
        story.append(text("The examiner selected no mark as a conflict.", styles["BodyText"]))

    def footer(canvas: Any, doc: Any) -> None:
        canvas.setFont("Helvetica", 7)
        canvas.setFillColor(colors.HexColor("#555555"))
        stamp = (
            f"Search {content.search.pk}  ·  P{content.search.parameter_set_id}  ·  snapshot {content.search.snapshot}"
        )
        canvas.drawString(18 * mm, 10 * mm, stamp)
        canvas.drawRightString(A4[0] - 18 * mm, 10 * mm, f"Page {doc.page}")

    document.build(story, onFirstPage=footer, onLaterPages=footer)
    return out.getvalue()


def _result_table(search: Search, results: list[SearchResult], text: Any) -> Table:
    """One row per mark. Where a part matches best, query and mark stand side by side with that part framed."""
    names = _descriptor_names(results)
    rows = [[text(head) for head in ("Rank", "Query", "Mark", "Details", "Score", "Why")]]
    for result in results:
        mark = result.mark
        facts = [
            mark.number,
            mark.owner,
            "Nice " + ", ".join(map(str, mark.nice_classes)) if mark.nice_classes else "",
        ]
        facts.append(" · ".join(filter(None, [mark.jurisdiction, mark.status, str(mark.filing_date or "")])))
        why = "; ".join(f"{descriptor(name)} {_percent(result.similarities.get(name)) or '-'}" for name in names)
        asked, found = result.boxes or (None, None)
        thumbnail = media.thumbnail_name(mark.image)
        shown = picture(thumbnail, _THUMBNAIL, found, (mark.width, mark.height)) or text("(no image)")
        part: Any = text("whole mark")
        if asked:
            part = picture(preview_name(search.image), _THUMBNAIL, asked, (search.width, search.height)) or part
        details = [text(mark.name), *[text(fact) for fact in facts if fact]]
        origin = "pre-selected" if result.preselected else "added by the examiner"
        if result.refined:
            origin = "found by refining, added by the examiner"
        rows.append(
            [
                text("–" if result.refined else result.position),
                part,
                shown,
                details,
                [text(f"{100 * result.score:.1f} %"), text(origin)],
                text(why),
            ]
        )
    table = Table(rows, colWidths=[11 * mm, 26 * mm, 26 * mm, 51 * mm, 26 * mm, 34 * mm], repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.HexColor("#d0d5dd")),
                ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#f2f4f7")),
            ]
        )
    )
    return table
