"""docs/loop.md and its plots, from the report of benchmarks/loop.py alone."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from benchmarks.leaderboard.picture import apart
from tuning.simulation.campaign import ARM_WORDS

COLOURS = {"ours": "#1a8f4c", "static": "#8a94a6", "paper-tree": "#b3420f", "grid": "#2456a6", "learned": "#7a3fb0"}
MEASURES = {"map100": "mAP@100 on the test groups, %", "f1": "F1 of the pre-selection on the test groups, %"}
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 330, 52, 150, 40, 44


def to_markdown(report: Mapping[str, Any]) -> str:
    """The page: what must hold, the table of all arms, profiles and guards."""
    world, seeds = report["world"], report["seeds"]
    lines = [
        "# Does the loop learn?",
        "",
        f"Simulated examiners over real families ({world['queries']:,} queries of {world['groups']} groups among "
        f"{world['marks']:,} marks, {len(world['descriptors'])} descriptors, {world['clusters']} clusters), "
        f"{report['searches']} searches a week by ten examiners, {report['weeks']} weeks, {seeds} seeds. For each "
        "seed the groups are dealt anew to traffic (what examiners search for), fit and validation (what tuning may "
        "look at) and test (which only the referee reads). All arms of a seed meet the same searches by the same "
        "examiners.",
        "",
        "Means over seeds with their 95 % interval. *Closed*: share of the way from the start to the ceiling, which "
        "is the set of parameters with the highest sum of mAP@100 and F1 that a search directly on the test groups "
        "finds (the oracle), as points gained over points of the gap, both summed over seeds. *Drop*: the most that "
        "the test mAP@100 lay under the start in any week, in points (in brackets: of any seed). *80 %*: weeks until "
        "both gaps are closed by 80 % (or, where they are under two points, to within half a point), and how many "
        "seeds got there.",
        "",
        f"Made on {report['made'][:10]} with release {report['release']} by `{report['command']}`, "
        f"on {report['data']}. "
        "`python manage.py simulate` shows one year by weeks.",
        "",
    ]
    mixed = [label for label in report["curves"] if "," not in label]
    for label in mixed:
        lines += [f"## Start: {label}", "", *_table(report["arms"], label), ""]
        lines += [f"![{words}](../tmportal/static/loop/{label}-{name}.svg)" for name, words in MEASURES.items()]
        lines.append("")
    some = f"{report['side_seeds']} seeds"
    if report["side_weeks"] != report["weeks"]:
        some += f", {report['side_weeks']} weeks"
    lines += [f"## Examiners of other kinds (ours, from equal weights, {some})", ""]
    profiles = [label for label in report["arms"].get("ours", {}) if "," in label]
    lines += _rows({label.partition(", ")[2]: report["arms"]["ours"][label] for label in profiles}, "examiners")
    guards = {
        arm.removeprefix("ours-without-"): starts["equal, adversarial examiners"]
        for arm, starts in report["arms"].items()
        if arm.startswith("ours-without-")
    }
    whole = report["arms"].get("ours", {}).get("equal, adversarial examiners")
    if guards and whole:
        lines += ["", f"## What each guard is worth (one examiner in ten is hostile, {some})", ""]
        lines += _rows({"all guards": whole, **{f"without {name}": row for name, row in guards.items()}}, "guards")
    return "\n".join([*lines, ""])


def _table(arms: Mapping[str, Any], label: str) -> list[str]:
    rows = {words: arms[arm][label] for arm, words in ARM_WORDS.items() if label in arms.get(arm, {})}
    return _rows(rows, "arm")


def _rows(rows: Mapping[str, Mapping[str, Any]], head: str) -> list[str]:
    lines = [
        f"| {head} | mAP@100 closed | left, points | F1 closed | left, points | drop, points | 80 %, weeks | PC | "
        "promoted / rejected / rolled back |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        worst = row["worst_drop_of_any_seed"]
        weeks = _mean(row["weeks_to_80"], ".1f")
        lines.append(
            f"| {name} | {_share(row['gap_closed_map'])} | {_points(row['map_left_points'])} "
            f"of {_mean(row['map_gap_points'], '.1f')} | {_share(row['gap_closed_f1'])} | "
            f"{_points(row['f1_left_points'])} of {_mean(row['f1_gap_points'], '.1f')} | "
            f"{_mean(row['worst_drop_points'], '.2f')} ({worst:.2f}) | {weeks} ({row['reached']}/{row['seeds']}) | "
            f"{_mean(row['pc_first'], '.2f')} to {_mean(row['pc_last'], '.2f')} | "
            + " / ".join(_mean(row[name], ".1f") for name in ("promotions", "rejections", "rollbacks"))
            + " |"
        )
    return lines


def _mean(value: Mapping[str, float] | None, form: str) -> str:
    return "–" if value is None else f"{value['mean']:{form}}"


def _share(value: Mapping[str, float] | None) -> str:
    return "–" if value is None else f"{value['mean']:.0%} ({value['low']:.0%} to {value['high']:.0%})"


def _points(value: Mapping[str, float] | None) -> str:
    return "–" if value is None else f"{value['mean']:.2f} ({value['low']:.2f} to {value['high']:.2f})"


def draw_curves(curves: Mapping[str, Any]) -> dict[str, str]:
    """START-MEASURE -> SVG of the means by week, for the starts that all arms ran from."""
    return {
        f"{label}-{measure}": _plot(arms, measure, f"{words}; start: {label}")
        for label, arms in curves.items()
        if "," not in label
        for measure, words in MEASURES.items()
    }


def _plot(arms: Mapping[str, Any], measure: str, title: str) -> str:
    series = {arm: arms[arm][measure] for arm in COLOURS if arm in arms}
    best = arms["ceiling"][measure][0]
    weeks = max(len(values) for values in series.values())
    low = min(min(values) for values in series.values())
    low, high = _round_range(low, best)

    def x(week: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (week - 1) / max(weeks - 1, 1)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12" fill="#1d2430" role="img" aria-label="{escape(title)}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="14">{escape(title)}</text>',
    ]
    for step in range(5):
        value = low + (high - low) * step / 4
        out.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#d9dee7"/>'
            f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        )
    out += [
        f'<text x="{x(week):.1f}" y="{_HEIGHT - 22}" text-anchor="middle">{week}</text>'
        for week in range(1, weeks + 1, max(1, weeks // 9))
    ]
    out.append(f'<text x="{x((weeks + 1) // 2):.1f}" y="{_HEIGHT - 6}" text-anchor="middle">week</text>')
    out.append(
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(best):.1f}" y2="{y(best):.1f}" stroke="#1d2430" '
        'stroke-dasharray="5 4"/>'
    )
    labels = [("ceiling", y(best), "#1d2430")]
    for arm, values in series.items():
        path = " ".join(f"{x(week):.1f},{y(value):.1f}" for week, value in enumerate(values, start=1))
        width = 3 if arm == "ours" else 1.8
        out.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[arm]}" stroke-width="{width}"/>')
        labels.append((arm, y(values[-1]), COLOURS[arm]))
    for (name, at, colour), place in zip(labels, apart([at for _, at, _ in labels]), strict=True):
        edge = _WIDTH - _RIGHT
        out.append(
            f'<path d="M{edge} {at:.1f}L{edge + 12} {place:.1f}" stroke="{colour}" stroke-opacity="0.5" fill="none"/>'
            f'<text x="{edge + 16}" y="{place + 4:.1f}" fill="{colour}">{name}</text>'
        )
    return "\n".join([*out, "</svg>", ""])


def _round_range(low: float, high: float) -> tuple[float, float]:
    """A little more than the data, in whole steps."""
    span = max(high - low, 1.0)
    step = 10.0 if span > 20 else 2.0 if span > 4 else 0.5
    return step * int((low - 0.04 * span) // step), step * -int(-(high + 0.04 * span) // step)
