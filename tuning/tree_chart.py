"""The decision tree as inline SVG, with the way each cluster took. Pure drawing of `DecisionTree.to_json`."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.safestring import SafeString

from tuning.svg import node, words

_SLOT, _LEVEL, _BOX, _TALL, _MARGIN = 116, 82, 104, 34, 8


def tree_svg(tree: Mapping[str, Any], ways: Mapping[str, Sequence[int]]) -> SafeString:
    """tree: nodes with id, depth, text, yes, no. ways: name of a cluster -> ids of the nodes it went through.

    A node or branch that was used carries the names of its clusters in `data-ways`, so that a page can light up
    one of them. Below a leaf stands which cluster, or how many, ended there.
    """
    nodes = {int(data["id"]): data for data in tree.get("nodes", ())}
    if not nodes:
        return SafeString("")
    place = _places(nodes)
    columns = max(x for x, _ in place.values()) + 1
    rows = max(y for _, y in place.values()) + 1
    width, height = columns * _SLOT + 2 * _MARGIN, (rows - 1) * _LEVEL + _TALL + 22 + 2 * _MARGIN

    def centre(number: int) -> tuple[float, float]:
        x, y = place[number]
        return _MARGIN + (x + 0.5) * _SLOT, _MARGIN + y * _LEVEL + _TALL / 2

    parts: list[SafeString] = []
    for number, data in nodes.items():
        for branch, child in (("yes", data.get("yes")), ("no", data.get("no"))):
            if child is None:
                continue
            used = [name for name, way in ways.items() if number in way and int(child) in way]
            parts += _branch(centre(number), centre(int(child)), branch, used)
    for number, data in nodes.items():
        used = [name for name, way in ways.items() if number in way]
        parts += _box(*centre(number), str(data["text"]), leaf=data.get("action") is not None, used=used)
    box = f"0 0 {width:.0f} {height:.0f}"
    return node("svg", *parts, cls="chart tree", viewBox=box, role="img", aria_label=_words(nodes, ways))


def _branch(start: tuple[float, float], end: tuple[float, float], word: str, used: Sequence[str]) -> list[SafeString]:
    (x0, y0), (x1, y1) = start, end
    half = (y0 + y1) / 2
    way = f"M{x0:.1f} {y0 + _TALL / 2:.1f} V{half:.1f} H{x1:.1f} V{y1 - _TALL / 2:.1f}"
    return [
        node("path", cls=_cls("branch", used), d=way, data_ways="|".join(used)),
        words((x0 + 3 * x1) / 4, half - 4, word, cls="branch-word"),
    ]


def _box(x: float, y: float, text: str, *, leaf: bool, used: Sequence[str]) -> list[SafeString]:
    text = text.replace("<=", "≤")
    shape = node("rect", x=x - _BOX / 2, y=y - _TALL / 2, width=_BOX, height=_TALL, rx=_TALL // 2 if leaf else 5)
    tip = node("title", f"{text}: {', '.join(used)}" if used else text)
    cls = _cls("node leaf" if leaf else "node", used)
    parts = [node("g", tip, shape, words(x, y + 4.5, text), cls=cls, data_ways="|".join(used))]
    if leaf and used:
        shown = used[0] if len(used) == 1 else f"{len(used)} ended here"  # all their names would not fit
        parts.append(words(x, y + _TALL / 2 + 15, shown, cls="ended used", data_ways="|".join(used)))
    return parts


def _places(nodes: Mapping[int, Mapping[str, Any]]) -> dict[int, tuple[float, int]]:
    """Column and row of each node: leaves side by side, a parent above the middle of its children."""
    place: dict[int, tuple[float, int]] = {}
    leaves = 0

    def put(number: int, row: int) -> float:
        nonlocal leaves
        data = nodes[number]
        if data.get("yes") is None or data.get("no") is None:
            column = float(leaves)
            leaves += 1
        else:
            column = (put(int(data["yes"]), row + 1) + put(int(data["no"]), row + 1)) / 2
        place[number] = (column, row)
        return column

    put(min(nodes), 0)
    return place


def _cls(name: str, used: Sequence[str]) -> str:
    return f"{name} used" if used else name


def _words(nodes: Mapping[int, Mapping[str, Any]], ways: Mapping[str, Sequence[int]]) -> str:
    ends = [f"{name}: {nodes[max(way)]['text']}" for name, way in ways.items() if way and max(way) in nodes]
    return f"Decision tree with {len(nodes)} nodes." + (f" {'; '.join(ends)}." if ends else "")
