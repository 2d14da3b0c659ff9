"""Drawings: the numbers land where they belong, and text from outside stays text."""

import re
from datetime import UTC, datetime
from itertools import pairwise
from xml.etree import ElementTree

from tuning.charts import TimelineEvent, TimelinePoint, before_after, change_interval, sparkline, timeline
from tuning.decision_tree import fit_tree
from tuning.tree_chart import tree_svg

WHEN = datetime(2026, 11, 2, 3, 0, tzinfo=UTC)


def point(number: int, **figures: float | None) -> TimelinePoint:
    return TimelinePoint(label=f"run {number}", at=WHEN, **figures)


def test_a_higher_share_stands_higher() -> None:
    drawing = ElementTree.fromstring(timeline([point(1, accuracy=0.5), point(2, accuracy=1.0), point(3, accuracy=0.0)]))
    circles = [c for g in drawing.iter("g") if g.get("class") == "point accuracy" for c in g.findall("circle")[1:]]
    half, top, bottom = (float(circle.get("cy")) for circle in circles)
    assert top < half < bottom and abs((top + bottom) / 2 - half) < 0.1
    left, middle, right = (float(circle.get("cx")) for circle in circles)
    assert middle - left == right - middle > 0


def test_a_missing_figure_leaves_a_gap_and_no_point() -> None:
    svg = timeline([point(1, pc=0.2), point(2), point(3, pc=0.1)])
    assert svg.count('class="point pc"') == 2 and "map100" not in svg and "band" not in svg


def test_every_point_tells_its_value_and_interval() -> None:
    svg = timeline([point(7, map100=0.613, low=0.55, high=0.67)])
    assert "run 7, 02 Nov 2026 03:00: held-out mAP@100 61.3% (55.0% to 67.0%)" in svg


def test_an_event_lies_at_its_run_and_a_rollback_between_runs() -> None:
    runs = [point(n, pc=0.1) for n in range(4)]
    events = [TimelineEvent(1.0, "P2", "went live", False), TimelineEvent(2.5, "↩P1", "back", True)]
    drawing = ElementTree.fromstring(timeline(runs, events))
    at = [
        float(c.get("cx")) for g in drawing.iter("g") if g.get("class") == "point pc" for c in g.findall("circle")[1:]
    ]
    live, back = [g for g in drawing.iter("g") if (g.get("class") or "").startswith("event")]
    assert float(live.find("line").get("x1")) == at[1]
    assert at[2] < float(back.find("line").get("x1")) < at[3]
    assert back.get("class") == "event back"


def test_nothing_to_draw_is_nothing() -> None:
    assert timeline([]) == before_after({}, {}, {}) == sparkline([1.0], "x") == ""


def test_bars_are_as_long_as_their_share() -> None:
    drawing = ElementTree.fromstring(before_after({"edges": 0.25}, {"edges": 0.5}, {"edges": "Outline"}))
    width = {rect.get("class"): float(rect.get("width")) for rect in drawing.iter("rect")}
    assert width["new"] == 2 * width["old"] == width["track"] / 2
    assert "Outline: 25.0 % before, 50.0 % after" in "".join(drawing.itertext())


def test_an_interval_is_called_better_only_when_it_lies_above_zero() -> None:
    def kind(low: float, high: float) -> str:
        found = re.search(r"interval (\w+)", change_interval((low + high) / 2, low, high, scale=0.1))
        assert found
        return found[1]

    assert (kind(0.01, 0.05), kind(-0.05, -0.01), kind(-0.01, 0.02)) == ("better", "worse", "unsure")


def test_text_from_outside_is_escaped() -> None:
    hostile = "<script>alert('x')</script>"
    drawings = [
        timeline([TimelinePoint(hostile, WHEN, pc=0.1)], [TimelineEvent(0, hostile, hostile, False)]),
        before_after({hostile: 0.1}, {hostile: 0.2}, {}),
        sparkline([0.0, 1.0], hostile),
        tree_svg(fit_tree().to_json(), {hostile: [0, 1]}),
    ]
    for svg in drawings:
        assert "<script" not in svg
        ElementTree.fromstring(svg)


def test_the_tree_lights_the_way_that_a_point_takes() -> None:
    tree = fit_tree()
    way = tree.path(0.15, 0.30, 0.50)
    drawing = ElementTree.fromstring(tree_svg(tree.to_json(), {"cluster 3": way}))
    boxes = [g for g in drawing.iter("g") if (g.get("class") or "").startswith("node")]
    assert len(boxes) == len(tree.nodes())
    lit = [box.findtext("text") for box in boxes if box.get("data-ways") == "cluster 3"]
    assert lit == [tree.nodes()[number].text.replace("<=", "≤") for number in way]
    branches = [path for path in drawing.iter("path") if path.get("data-ways") == "cluster 3"]
    assert len(branches) == len(way) - 1


def test_boxes_of_one_level_do_not_overlap() -> None:
    drawing = ElementTree.fromstring(tree_svg(fit_tree().to_json(), {}))
    rows: dict[str, list[float]] = {}
    for rect in drawing.iter("rect"):
        rows.setdefault(rect.get("y"), []).append(float(rect.get("x")))
    assert len(rows) > 2 and max(map(len, rows.values())) > 2
    for places in rows.values():
        ordered = sorted(places)
        assert all(right - left >= 104 for left, right in pairwise(ordered))


def test_points_and_events_can_be_reached_by_key_and_lead_somewhere() -> None:
    runs = [TimelinePoint("run 1", WHEN, link="/runs/1/", pc=0.2), point(2, pc=0.1)]
    drawing = ElementTree.fromstring(timeline(runs, [TimelineEvent(0, "P2", "went live", False, "/sets/2/")]))
    assert drawing.get("role") == "group"  # inside an image nothing could be reached
    links = {a.get("class"): a for a in drawing.iter("a")}
    assert links["point pc"].get("href") == "/runs/1/" and links["event"].get("href") == "/sets/2/"
    assert links["point pc"].get("aria-label") == "run 1, 02 Nov 2026 03:00: PC 20.0%"
    (plain,) = [g for g in drawing.iter("g") if g.get("class") == "point pc"]
    assert plain.get("tabindex") == "0"
