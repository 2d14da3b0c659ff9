"""mAP@100 against bytes a mark as SVG, written by hand: no plotting library is needed to read two axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 48, 56
_LINE_HEIGHT = 15
_COLOURS = {"frozen": "#8a94a6", "fused": "#1a8f4c", "encoder": "#b3420f"}
_OTHER = "#2456a6"


def draw_bytes(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """rows: as in the JSON of the leaderboard. A bar is the 95 % interval."""
    points = [
        (name, row["bytes_per_mark"], 100 * m["map100"], [100 * v for v in m["map100_ci"]])
        for name, row in rows.items()
        for m in [row["variants"]["excluded"]]
        if row["bytes_per_mark"] > 0  # a descriptor that no mark of the sample has is off the picture
    ]
    low = min(p[1] for p in points) / 1.3
    high = max(p[1] for p in points) * 1.3
    top = 10 * math.ceil(max(p[3][1] for p in points) / 10)

    def x(size: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(size / low) / math.log(high / low)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#1d2430">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 24, "mAP@100 (query excluded, %) against what a mark costs in the index", size=14),
        *(_grid(y(v), f"{v:.0f}") for v in range(0, top + 1, 10)),
        *(_tick(x(v), f"{v:,} B") for v in _sizes(low, high)),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, "bytes a mark (logarithmic)", anchor="middle"),
    ]
    labels = apart([y(p[2]) for p in points], top=TOP, bottom=HEIGHT - BOTTOM)
    for (name, size, value, interval), label in zip(points, labels, strict=True):
        out += _point(name, x(size), y(value), (y(interval[0]), y(interval[1])), label)
    return "\n".join([*out, "</svg>", ""])


def _sizes(low: float, high: float) -> list[int]:
    return [2**power for power in range(20) if low <= 2**power <= high]


def _point(name: str, x: float, y: float, interval: tuple[float, float], label: float) -> list[str]:
    colour = _COLOURS.get(name.partition("-")[0], _OTHER)
    edge = WIDTH - RIGHT + 14
    return [
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{interval[0]:.1f}" y2="{interval[1]:.1f}" stroke="{colour}" '
        'stroke-opacity="0.45" stroke-width="2"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>',
        f'<path d="M{x + 6:.1f} {y:.1f}L{edge - 4} {label:.1f}" fill="none" stroke="{colour}" stroke-opacity="0.35"/>',
        _text(edge, label + 4, name, fill=colour),
    ]


def apart(
    heights: Sequence[float], *, line: float = _LINE_HEIGHT, top: float = -math.inf, bottom: float = math.inf
) -> list[float]:
    """Heights of labels beside points at these heights, a line apart and between top and bottom."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = [0.0] * len(heights)
    floor = top
    for i in order:
        placed[i] = max(heights[i], floor)
        floor = placed[i] + line
    ceiling = bottom + line
    for i in reversed(order):
        placed[i] = min(placed[i], ceiling - line)
        ceiling = placed[i]
    return placed


def _grid(y: float, words: str) -> str:
    line = f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e3e7ec"/>'
    return line + _text(LEFT - 8, y + 4, words, anchor="end")


def _tick(x: float, words: str) -> str:
    at = HEIGHT - BOTTOM
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{at}" y2="{at + 5}" stroke="#8a94a6"/>' + _text(
        x, at + 20, words, anchor="middle"
    )


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12, fill: str = "#1d2430") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}">{escape(words)}</text>'
    )
