"""The page that shows what simulated years came to: tables and plots that benchmarks/loop.py wrote and that ship."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_safe

from tuning.simulation.campaign import ARM_WORDS
from tuning.views import administrators

MEASURED = Path(__file__).parent / "simulation" / "measured.json"
START_WORDS = {
    "equal": "Equal weights",
    "worst-weights": "All weight on the worst descriptor",
    "threshold-high": "Cut too high",
    "threshold-low": "Cut too low",
    "drift": "New kinds of marks in mid-year",
}


@dataclass(frozen=True)
class Row:
    """One arm, profile or set of guards; shares of 0..1 and points, None where there is nothing to say."""

    name: str
    ours: bool
    map_closed: float | None
    map_left: float | None
    f1_closed: float | None
    f1_left: float | None
    drop: float | None
    pc_first: float | None
    pc_last: float | None
    promotions: float | None
    rollbacks: float | None


def row_of(name: str, figures: Mapping[str, Any], *, ours: bool = False) -> Row:
    def mean(key: str) -> float | None:
        value = figures.get(key)
        return None if value is None else float(value["mean"])

    return Row(
        name=name,
        ours=ours,
        map_closed=mean("gap_closed_map"),
        map_left=mean("map_left_points"),
        f1_closed=mean("gap_closed_f1"),
        f1_left=mean("f1_left_points"),
        drop=figures.get("worst_drop_of_any_seed"),
        pc_first=mean("pc_first"),
        pc_last=mean("pc_last"),
        promotions=mean("promotions"),
        rollbacks=mean("rollbacks"),
    )


def starts_of(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each start that all arms ran from, with a row for each of them."""
    for label, words in START_WORDS.items():
        arms = [(arm, report["arms"][arm][label]) for arm in ARM_WORDS if label in report["arms"].get(arm, {})]
        if arms:
            yield {
                "label": label,
                "words": words,
                "rows": [row_of(ARM_WORDS[arm], figures, ours=arm == "ours") for arm, figures in arms],
                "pictures": [f"loop/{label}-map100.svg", f"loop/{label}-f1.svg"],
            }


def profiles_of(report: Mapping[str, Any]) -> list[Row]:
    """This service under examiners of other kinds."""
    ours = report["arms"].get("ours", {})
    return [row_of(label.partition(", ")[2], figures) for label, figures in ours.items() if ", " in label]


def guards_of(report: Mapping[str, Any]) -> list[Row]:
    """Each guard left out, beside all of them, where one examiner in ten is hostile."""
    label = "equal, adversarial examiners"
    arms = report["arms"]
    rows = [row_of("all guards", arms["ours"][label], ours=True)] if label in arms.get("ours", {}) else []
    return rows + [
        row_of(f"without {arm.removeprefix('ours-without-').replace('_', '-')}", starts[label])
        for arm, starts in arms.items()
        if arm.startswith("ours-without-") and label in starts
    ]


@require_safe
@administrators
def page(request: HttpRequest) -> HttpResponse:
    try:
        report = json.loads(MEASURED.read_text("utf-8"))
    except (OSError, ValueError):
        return render(request, "tuning/simulation.html", {"report": None})
    context = {
        "report": report,
        "made": parse_datetime(report.get("made", "")),
        "starts": list(starts_of(report)),
        "profiles": profiles_of(report),
        "guards": guards_of(report),
    }
    return render(request, "tuning/simulation.html", context)
