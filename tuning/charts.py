"""Charts as inline SVG, made on the server: no script, every point with a tooltip (<title>). Pure drawing.

Colours and strokes are classes of tuning.css, so both colour schemes hold. Every chart stands beside a table
with the same numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from tuning.svg import node, words

Scale = Callable[[float], float]


@dataclass(frozen=True)
class TimelinePoint:
    """One tuning run; shares of 0..1, None where the run has no such figure."""

    label: str
    at: datetime
    link: str = ""
    pc: float | None = None
    accuracy: float | None = None
    map100: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class TimelineEvent:
    """A parameter set that went live. place: index of the run it belongs to; x.5 = after run x."""

    place: float
    label: str
    text: str
    rolled_back: bool
    link: str = ""


_WIDTH, _HEIGHT = 900, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 18, 30, 34


def timeline(points: Sequence[TimelinePoint], events: Sequence[TimelineEvent] = ()) -> SafeString:
    """PC, accuracy of the pre-selection and held-out mAP@100 (with its interval) over the runs.

    Runs are evenly spaced: three runs by hand on one day would hide each other on a true time axis.
    """
    if not points:
        return SafeString("")
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(place: float) -> float:
        return _LEFT + width * (place + 0.5) / len(points)

    def y(share: float) -> float:
        return _TOP + height * (1 - _clip(share))

    parts: list[SafeString] = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(node("line", cls="rule", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y(share), y2=y(share)))
        parts.append(words(_LEFT - 8, y(share) + 4, f"{share:.0%}", cls="axis", anchor="end"))
    every = max(1, -(-len(points) // 9))
    for index, point in enumerate(points):
        if index % every == 0:
            parts.append(words(x(index), _HEIGHT - 12, f"{point.at:%d %b}".lstrip("0"), cls="axis"))
    for event in events:
        place = x(min(len(points) - 0.5, max(-0.5, event.place)))
        parts.append(
            _spot(
                event.text,
                event.link,
                node("line", x1=place, x2=place, y1=_TOP - 6, y2=_HEIGHT - _BOTTOM),
                node("rect", cls="hit", x=place - 14, y=_TOP - 24, width=28, height=20),
                words(place, _TOP - 11, event.label),
                cls="event back" if event.rolled_back else "event",
            )
        )
    parts += _band(points, x, y)
    for name, label in (("pc", "PC"), ("accuracy", "accuracy of the pre-selection"), ("map100", "held-out mAP@100")):
        parts += _line(points, name, label, x, y)
    label = f"PC, accuracy of the pre-selection and held-out mAP@100 over {len(points)} runs"
    # A group and no image: what is inside an image cannot be reached by key.
    return node("svg", *parts, cls="chart timeline", viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="group", aria_label=label)


def _spot(tip: str, link: str, *content: SafeString, cls: str, **attributes: object) -> SafeString:
    """Something that the pointer and the keyboard can reach; a link where there is a page behind it."""
    title = node("title", tip)
    if link:
        return node("a", title, *content, cls=cls, href=link, aria_label=tip, **attributes)
    return node("g", title, *content, cls=cls, tabindex="0", role="img", aria_label=tip, **attributes)


def _band(points: Sequence[TimelinePoint], x: Scale, y: Scale) -> list[SafeString]:
    whole = [(i, p.low, p.high) for i, p in enumerate(points) if p.low is not None and p.high is not None]
    if len(whole) > 1:
        up = [f"{x(i):.1f},{y(high):.1f}" for i, _, high in whole]
        down = [f"{x(i):.1f},{y(low):.1f}" for i, low, _ in reversed(whole)]
        return [node("polygon", cls="band", points=" ".join(up + down))]
    return [node("line", cls="whisker", x1=x(i), x2=x(i), y1=y(low), y2=y(high)) for i, low, high in whole]


def _line(points: Sequence[TimelinePoint], name: str, label: str, x: Scale, y: Scale) -> list[SafeString]:
    known = [(i, p, getattr(p, name)) for i, p in enumerate(points) if getattr(p, name) is not None]
    parts = []
    if len(known) > 1:
        way = " ".join(f"{x(i):.1f},{y(value):.1f}" for i, _, value in known)
        parts.append(node("polyline", cls=f"series {name}", points=way))
    for i, point, value in known:
        spread = ""
        if name == "map100" and point.low is not None and point.high is not None:
            spread = f" ({point.low:.1%} to {point.high:.1%})"
        tip = f"{point.label}, {point.at:%d %b %Y %H:%M}: {label} {value:.1%}{spread}"
        cx, cy = x(i), y(value)
        circles = node("circle", cls="hit", cx=cx, cy=cy, r=10), node("circle", cx=cx, cy=cy, r=4)
        parts.append(_spot(tip, point.link, *circles, cls=f"point {name}", data_run=i, data_series=name))
    return parts


_ROW, _NAME, _SPAN, _VALUE = 34, 92, 190, 108


def before_after(before: Mapping[str, float], after: Mapping[str, float], labels: Mapping[str, str]) -> SafeString:
    """Two thin bars per row, before above after, on a scale of 0..1. Rows are the keys of `after`."""
    names = list(after) or list(before)
    if not names:
        return SafeString("")
    rows = [
        _change_row(4 + index * _ROW, name, labels.get(name, name), before.get(name), after.get(name))
        for index, name in enumerate(names)
    ]
    width, height = _NAME + _SPAN + _VALUE, _ROW * len(names) + 2
    box = f"0 0 {width} {height}"
    return node("svg", *rows, cls="chart change", viewBox=box, width=width, role="img", aria_label="Before and after")


def _change_row(top: int, name: str, label: str, old: float | None, new: float | None) -> SafeString:
    parts = [
        node("title", f"{label}: {_share(old)} before, {_share(new)} after"),
        words(_NAME - 10, top + 15, label, cls="name", anchor="end"),
        node("rect", cls="track", x=_NAME, y=top, width=_SPAN, height=22, rx=3),
    ]
    for cls, value, offset, tall in (("old", old, 2, 7), ("new", new, 11, 9)):
        if value is not None:
            long = max(1.0, _SPAN * _clip(value))
            parts.append(node("rect", cls=cls, x=_NAME, y=top + offset, width=long, height=tall, rx=2))
    moved = "" if old is None or new is None or abs(new - old) < 0.0005 else f" ({100 * (new - old):+.1f})"
    parts.append(words(_NAME + _SPAN + 8, top + 15, f"{_share(new)}{moved}", cls="value", anchor="start"))
    return node("g", *parts, cls="row", data_descriptor=name)


def change_interval(difference: float, low: float, high: float, *, scale: float) -> SafeString:
    """A change and its 95 % interval around zero; `scale` is the largest absolute value shown."""
    width, height, middle = 200, 22, 100
    reach = middle - 6

    def x(value: float) -> float:
        return middle + reach * min(1.0, max(-1.0, value / scale if scale else 0.0))

    kind = "better" if low > 0 else "worse" if high < 0 else "unsure"
    tip = f"{100 * difference:+.2f} points, 95 % between {100 * low:+.2f} and {100 * high:+.2f}"
    parts = [
        node("title", tip),
        node("line", cls="zero", x1=middle, x2=middle, y1=1, y2=height - 1),
        node("line", cls="spread", x1=x(low), x2=x(high), y1=11, y2=11),
        node("circle", cx=x(difference), cy=11, r=4.5),
    ]
    box = f"0 0 {width} {height}"
    return node("svg", *parts, cls=f"chart interval {kind}", viewBox=box, width=width, role="img", aria_label=tip)


def sparkline(values: Sequence[float], title: str) -> SafeString:
    """A small line of the best value so far over the trials."""
    if len(values) < 2:
        return SafeString("")
    width, height = 220, 40
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = (width - 4) / (len(values) - 1)
    spots = [(2 + step * i, height - 4 - (height - 8) * (value - low) / span) for i, value in enumerate(values)]
    way = node("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in spots))
    box = f"0 0 {width} {height}"
    return node(
        "svg", node("title", title), way, cls="chart spark", viewBox=box, width=width, role="img", aria_label=title
    )


def _clip(share: float) -> float:
    return min(1.0, max(0.0, share))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
