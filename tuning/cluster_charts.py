"""Charts of one cluster as inline SVG: scores against the cut, the rounds of a search, the gate query by query.

Pure drawing, like tuning.charts: every bar and point has a tooltip, and each chart stands beside the same in words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from tuning.svg import node, words

BINS = 25
OUTCOMES = ("kept", "added", "removed", "untouched")
_ABOVE, _BELOW = ("kept", "added"), ("removed", "untouched")


@dataclass(frozen=True)
class Cut:
    """A threshold to draw. cls: "now" or "before"."""

    at: float
    label: str
    cls: str = "now"


def score_histogram(scores: Mapping[str, Sequence[float]], cuts: Sequence[Cut]) -> SafeString:
    """Seen results by score: what examiners selected above the axis, what they left below, and the cuts across.

    scores: outcome -> scores 0..1. Both halves have their own scale, since what is left is always the larger part.
    """
    if not any(scores.get(name) for name in OUTCOMES):
        return SafeString("")
    width, height, left, right, top, half = 640, 262, 46, 24, 26, 96
    axis, span = top + half, width - left - right
    bins = {name: _binned(scores.get(name) or ()) for name in OUTCOMES}
    wide = span / BINS
    parts: list[SafeString] = []
    for names, sign in ((_ABOVE, -1), (_BELOW, 1)):
        most = max(1, *(sum(bins[name][b] for name in names) for b in range(BINS)))
        edge = axis + sign * half
        parts.append(node("line", cls="rule", x1=left, x2=width - right, y1=edge, y2=edge))
        parts.append(words(left - 8, edge + 4, f"{most}", cls="axis", anchor="end"))
        for b in range(BINS):
            parts += _stack(names, bins, b, x=left + b * wide, wide=wide, axis=axis, scale=sign * half / most)
    parts.append(node("line", cls="zero", x1=left, x2=width - right, y1=axis, y2=axis))
    parts.append(words(left - 8, axis + 4, "0", cls="axis", anchor="end"))
    for tick in range(0, 101, 20):
        parts.append(words(left + span * tick / 100, axis + half + 18, f"{tick} %", cls="axis"))
    for cut in cuts:
        x = left + span * min(1.0, max(0.0, cut.at))
        end = "end" if cut.at > 0.8 else "start" if cut.at < 0.2 else "middle"
        parts.append(
            node(
                "g",
                node("title", cut.label),
                node("line", x1=x, x2=x, y1=top - 4, y2=axis + half),
                words(x, top - 10 if cut.cls == "now" else axis + half + 34, cut.label, anchor=end),
                cls=f"cut {cut.cls}",
            )
        )
    label = "Seen results by score: " + ", ".join(f"{len(scores.get(name) or ())} {name}" for name in OUTCOMES)
    label += "; " + "; ".join(cut.label for cut in cuts)
    return _chart("histogram", parts, width, height, label)


def _binned(scores: Sequence[float]) -> list[int]:
    counts = [0] * BINS
    for score in scores:
        counts[min(BINS - 1, max(0, int(score * BINS + 1e-9)))] += 1
    return counts


def _stack(
    names: Sequence[str], bins: Mapping[str, Sequence[int]], b: int, *, x: float, wide: float, axis: float, scale: float
) -> list[SafeString]:
    parts, at = [], axis
    for name in names:
        tall = bins[name][b] * scale
        if tall:
            tip = f"{bins[name][b]} {name} at {100 * b // BINS} to {100 * (b + 1) // BINS} %"
            box = {"x": x + 0.8, "y": min(at, at + tall), "width": wide - 1.6, "height": abs(tall)}
            parts.append(node("rect", node("title", tip), cls=f"bar {name}", **box))
        at += tall
    return parts


def trials_chart(trials: Sequence[Any]) -> SafeString:
    """The best candidate of every round as a point, and the best so far as a line.

    trials: [number, weights, threshold, value, best] as stored; what is not of that shape is left out. A round far
    below the others would press these together: it is pinned to the lower edge and its tooltip says where it lies.
    """
    rounds = [
        (int(t[0]), float(t[2]), float(t[3]), float(t[4]))
        for t in trials
        if isinstance(t, list | tuple) and len(t) == 5 and all(isinstance(v, int | float) for v in (t[0], *t[2:]))
    ]
    if len(rounds) < 2:
        return SafeString("")
    width, height, left, right, top, bottom = 640, 210, 58, 12, 14, 38
    values = sorted(value for _, _, value, _ in rounds)
    high = max(values[-1], *(best for *_, best in rounds))
    usual = values[len(values) // 8]
    low = max(values[0], min(usual, 0.0) - (high - min(usual, 0.0)) / 2)
    span = (high - low) or 1.0
    last = max(number for number, *_ in rounds) or 1

    def x(number: int) -> float:
        return left + (width - left - right) * number / last

    def y(value: float) -> float:
        return top + (height - top - bottom) * (1 - max(0.0, value - low) / span)

    parts: list[SafeString] = []
    for level in sorted({low, low + span / 2, high, *({0.0} if low < 0 < high else set())}):
        cls = "zero" if level == 0.0 else "rule"
        parts.append(node("line", cls=cls, x1=left, x2=width - right, y1=y(level), y2=y(level)))
        if level == 0.0 or abs(y(level) - y(0.0)) > 13:
            parts.append(words(left - 8, y(level) + 4, f"{level:+.3f}", cls="axis", anchor="end"))
    way = f"M{x(rounds[0][0]):.1f} {y(rounds[0][3]):.1f}"  # in steps: between two rounds nothing was better
    way += "".join(f" H{x(number):.1f} V{y(best):.1f}" for number, _, _, best in rounds[1:])
    parts.append(node("path", cls="best", d=way))
    for number, threshold, value, best in rounds:
        tip = f"round {number + 1}: value {value:+.4f}, threshold {threshold:.1%}, best so far {best:+.4f}"
        cls = "trial pinned" if value < low else "trial"
        parts.append(node("circle", node("title", tip), cls=cls, cx=x(number), cy=y(value), r=3.4))
    parts += [words(x(number), height - 20, f"{number + 1}", cls="axis") for number in sorted({0, last // 2, last})]
    parts.append(words(left + (width - left - right) / 2, height - 4, "round", cls="axis"))
    label = f"Best value of {len(rounds)} rounds: {max(best for *_, best in rounds):+.4f} over the live parameters"
    return _chart("rounds", parts, width, height, label)


def delta_chart(deltas: Sequence[Mapping[str, Any]]) -> SafeString:
    """Change of AP@100 of every held-out query, the largest gain first. deltas: name, ap_before, ap_after, delta."""
    ordered = sorted(deltas, key=lambda one: -float(one["delta"]))
    if not ordered:
        return SafeString("")
    width, height, left, right, top, bottom = 640, 190, 58, 12, 12, 30
    reach = max(0.01, *(abs(float(one["delta"])) for one in ordered))
    middle, half = top + (height - top - bottom) / 2, (height - top - bottom) / 2
    wide = (width - left - right) / len(ordered)
    parts: list[SafeString] = []
    for share in (reach, -reach):
        edge = middle - half * share / reach
        parts.append(node("line", cls="rule", x1=left, x2=width - right, y1=edge, y2=edge))
        parts.append(words(left - 8, edge + 4, f"{100 * share:+.1f}", cls="axis", anchor="end"))
    for place, one in enumerate(ordered):
        delta = float(one["delta"])
        tall = half * abs(delta) / reach
        kind = "better" if delta > 0 else "worse" if delta < 0 else "same"
        tip = f"{one['name']}: {float(one['ap_before']):.1%} to {float(one['ap_after']):.1%}, {100 * delta:+.2f} points"
        gap = min(1.0, wide / 5)
        box = {"x": left + place * wide + gap / 2, "width": max(0.6, wide - gap)}
        shape = {"y": middle - tall if delta > 0 else middle, "height": max(tall, 1.2)}
        parts.append(node("rect", node("title", tip), cls=f"delta {kind}", **box, **shape))
    parts.append(node("line", cls="zero", x1=left, x2=width - right, y1=middle, y2=middle))
    parts.append(words(left - 8, middle + 4, "0", cls="axis", anchor="end"))
    up = sum(float(one["delta"]) > 0 for one in ordered)
    down = sum(float(one["delta"]) < 0 for one in ordered)
    said = f"{up} of {len(ordered)} held-out queries gain, {down} lose, {len(ordered) - up - down} stay"
    parts.append(words(left + (width - left - right) / 2, height - 8, said, cls="axis"))
    return _chart("deltas", parts, width, height, f"Change of AP@100 in points, query by query: {said}")


def _chart(name: str, parts: Sequence[SafeString], width: int, height: int, label: str) -> SafeString:
    return node("svg", *parts, cls=f"chart {name}", viewBox=f"0 0 {width} {height}", role="img", aria_label=label)
