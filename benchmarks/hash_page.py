"""The tables of docs/hashing.md, put between markers of a page whose words are written by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["render", "tables"]

_MARKED = "<!-- {0} -->\n{1}\n<!-- /{0} -->"


def render(report: Mapping[str, Any], page: Path) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- /NAME -->` by the table of that name."""
    text = page.read_text("utf-8")
    for name, lines in tables(report).items():
        found = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->", re.DOTALL)
        made = _MARKED.format(name, "\n".join(lines))
        text = found.sub(made.replace("\\", r"\\"), text)
    page.write_text(text, "utf-8")


def tables(report: Mapping[str, Any]) -> dict[str, list[str]]:
    """Name -> lines of every table that was measured."""
    made: dict[str, list[str]] = {}
    if "codes" in report:
        made["codes"] = _codes(report["codes"], report.get("shortlist", {}))
    if "cost" in report:
        made["cost"] = _cost(report["cost"])
    if "ablation" in report:
        made["ablation"] = _ablation(report["ablation"])
    return made


def _codes(codes: Mapping[str, Any], short: Mapping[str, Any]) -> list[str]:
    sizes = list(short.get("sizes", {}))
    head = [
        "row",
        "bytes",
        "mAP@100 %",
        "over ITQ",
        "NAR",
        "recall@100 %",
        *(f"exact top 100 within the {s} %" for s in sizes),
    ]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    kept = short.get("rows", {})
    for name, row in {**{n: {} for n in kept if n not in codes["rows"]}, **codes["rows"]}.items():
        cells = [name]
        if row:
            low, high = row["map100_ci"]
            gain = "{:+.1f} [{:+.1f}, {:+.1f}]".format(*row["gain"]) if "gain" in row else "-"
            cells += [f"{row['bytes']:,}", f"{row['map100']} [{low}, {high}]", gain]
            cells += [f"{row['nar']}", f"{row['recall100']}"]
        else:
            cells += ["-"] * 5
        cells += [f"{kept[name][f'top100 in {size}']}" if name in kept else "-" for size in sizes]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _cost(cost: Mapping[str, Any]) -> list[str]:
    lines = [f"| bits | MiB for {cost['codes']:,} codes | index | ms of one core a query |", "|---|---|---|---|"]
    return lines + [f"| {r['bits']} | {r['mebibytes']} | {r['index']} | {r['ms']} |" for r in cost["rows"]]


def _ablation(found: Mapping[str, Any]) -> list[str]:
    head = [
        "row", "mAP@100 %", "NAR", "seen families of 2", "of 3", "of 4 and more", "weights", "seconds",
    ]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, row in found["rows"].items():
        seen = [f"{row['seen'][size]['map100']}" for size in row["seen"]]
        weights = f"{row['weights']:,}" if "weights" in row else "-"
        cells = [name, f"{row['map100']}", f"{row['nar']}", *seen, weights, str(row.get("seconds", "-"))]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
