"""docs/quality.md from the JSON of the leaderboard. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["bar_line", "to_markdown"]

_VARIANTS = {
    "excluded": "Query excluded from its own list",
    "official": "Official METU variant (query in its own list, ranks below 100, ties worst case)",
}


def to_markdown(report: Mapping[str, Any], *, licences: bool = False) -> str:
    """The page: bars, one table for each variant, weights, picture, queries, how to make it again.

    licences: quality-licences.md beside the page says whose drawings are shown.
    """
    run = report["run"]
    lines = [
        "# The leaderboard",
        "",
        f"{run['queries']:,} queries in {run['groups']:,} groups among {run['marks']:,} marks ({run['set']}), one run",
        f"of `make bench-quality` on {run['threads']} threads. Brackets: 95 % intervals by bootstrap over groups.",
        "This page is written from the run's JSON (`benchmarks/quality.py --render FILE`).",
        "",
        *_bars(report),
    ]
    for variant, title in _VARIANTS.items():
        lines += ["", f"## {title}", "", *_table(report["rows"], variant)]
    lines += ["", "## Cost", "", *_cost(report["rows"]), "", "![mAP@100 against bytes a mark](quality-bytes.svg)"]
    lines += ["", "## Weights", "", *_weights(report)]
    if run.get("sheet"):
        lines += ["", f"## Best, median and worst queries of {run['sheet']}", ""]
        lines += ["![Queries with their first results; hits are framed green](quality-queries.png)"]
        if licences:
            lines += ["", "[Whose drawings are shown](quality-licences.md)"]
    lines += ["", "## How to read it", "", *(f"- {note}" for note in report["notes"])]
    return "\n".join(lines) + "\n"


def bar_line(bar: Mapping[str, Any]) -> str:
    """One bar as a line for the terminal."""
    sign = ">=" if bar["at_least"] else "<="
    if bar["value"] is None:
        return f"not measured  {bar['what']} {sign} {bar['bar']:g}"
    return f"{'pass' if bar['passed'] else 'FAIL'}  {bar['what']}: {bar['value']:.3f} (wanted {sign} {bar['bar']:g})"


def _bars(report: Mapping[str, Any]) -> list[str]:
    lines = ["| wanted | measured | |", "|---|---|---|"]
    for bar in report["bars"]:
        sign = "at least" if bar["at_least"] else "at most"
        value = "not measured" if bar["value"] is None else f"{bar['value']:.3f}"
        verdict = {True: "reached", False: "**not reached**", None: ""}[bar["passed"]]
        lines.append(f"| {bar['what']}: {sign} {bar['bar']:g} | {value} | {verdict} |")
    if any("time to describe (" in bar["what"] for bar in report["bars"]):  # runs of older releases
        lines += ["", "The time is that of the encoder at 160 pixels against the frozen network at 192."]
    return lines


def _table(rows: Mapping[str, Any], variant: str) -> list[str]:
    lines = ["| row | mAP@100 % | NAR | median rank | recall@100 % |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        m = row["variants"][variant]
        cells = (
            _cell(m, "map100", 100, 1),
            _cell(m, "nar", 1, 4),
            _cell(m, "median_rank", 1, 0),
            _cell(m, "recall100", 100, 1),
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _cell(m: Mapping[str, Any], name: str, scale: float, digits: int) -> str:
    low, high = m[f"{name}_ci"]
    return f"{scale * m[name]:.{digits}f} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def _cost(rows: Mapping[str, Any]) -> list[str]:
    lines = ["| row | dimension | bytes a mark | marks a second |", "|---|---|---|---|"]
    for name, row in rows.items():
        speed = row.get("marks_per_second")
        shown = "-" if speed is None else f"{speed:.1f}"
        lines.append(f"| {name} | {row['dimension']} | {row['bytes_per_mark']:,.0f} | {shown} |")
    return lines


def _weights(report: Mapping[str, Any]) -> list[str]:
    names = list(report["run"]["descriptors"])
    lines = [f"| row | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for row, found in report["rows"].items():
        if "weights" in found:
            cells = [f"{found['weights'][name]:.3f}" for name in names]
            lines.append(f"| {row} | {' | '.join(cells)} |")
    gain = report.get("gain")
    if gain:
        low, high = gain["ci"]
        lines += [
            "",
            f"fused-tuned over the encoder alone, paired by query: {gain['points']:+.1f} points",
            f"[{low:+.1f}, {high:+.1f}].",
        ]
    tuned = report.get("tuning")
    if tuned:
        lines += [
            "",
            f"Tuned on {tuned['queries']:,} queries in {tuned['groups']:,} groups of `train` among",
            f"{tuned['marks']:,} marks: mAP@100 there {100 * tuned['equal']:.1f} with equal weights,",
            f"{100 * tuned['best']:.1f} with the tuned ones ({tuned['tried']} weight vectors tried).",
            "No group measured above was used.",
        ]
    return lines
