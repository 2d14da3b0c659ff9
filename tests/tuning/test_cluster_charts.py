"""Charts of one cluster: what is above and below, how long a bar is, and what is left out."""

from xml.etree import ElementTree

import pytest

from tuning.cluster_charts import BINS, Cut, delta_chart, score_histogram, trials_chart


def bars(svg: str, cls: str) -> list[ElementTree.Element]:
    return [rect for rect in ElementTree.fromstring(svg).iter("rect") if rect.get("class") == cls]


def test_what_was_selected_stands_above_the_axis_and_what_was_left_below() -> None:
    svg = score_histogram({"kept": [0.9, 0.91], "added": [0.3], "removed": [0.9], "untouched": [0.1] * 8}, [])
    axis = float(
        next(line.get("y1") for line in ElementTree.fromstring(svg).iter("line") if line.get("class") == "zero")
    )
    for name, above in (("kept", True), ("added", True), ("removed", False), ("untouched", False)):
        (bar,) = bars(svg, f"bar {name}")
        bottom = float(bar.get("y")) + float(bar.get("height"))
        assert (bottom <= axis + 0.1) == above, name
    kept, added = (float(bars(svg, f"bar {name}")[0].get("height")) for name in ("kept", "added"))
    assert kept == pytest.approx(2 * added, abs=0.2)


def test_outcomes_of_one_score_are_stacked() -> None:
    svg = score_histogram({"kept": [0.5], "added": [0.5]}, [])
    (kept,), (added,) = bars(svg, "bar kept"), bars(svg, "bar added")
    assert float(added.get("y")) + float(added.get("height")) == pytest.approx(float(kept.get("y")), abs=0.2)


def test_the_cut_lies_where_its_score_is_and_the_ends_count() -> None:
    svg = score_histogram({"kept": [0.0, 1.0, 1.2]}, [Cut(0.0, "low"), Cut(0.5, "middle"), Cut(1.0, "high", "before")])
    cuts = [g for g in ElementTree.fromstring(svg).iter("g") if (g.get("class") or "").startswith("cut")]
    low, middle, high = (float(g.find("line").get("x1")) for g in cuts)
    assert middle == pytest.approx((low + high) / 2)
    first, last = bars(svg, "bar kept")
    assert float(first.get("x")) == pytest.approx(low, abs=1) and float(last.get("x")) < high
    assert "2 kept" in last.findtext("title") and len(bars(svg, "bar kept")) <= BINS


def test_rounds_are_points_and_the_best_never_falls() -> None:
    trials = [[0, [1.0], 0.5, -0.1, -0.1], [1, [1.0], 0.5, 0.3, 0.3], [2, [1.0], 0.5, 0.1, 0.3], "odd", [3], None]
    svg = trials_chart(trials)
    drawing = ElementTree.fromstring(svg)
    points = [float(c.get("cy")) for c in drawing.iter("circle")]
    assert len(points) == 3 and points[1] < points[2] < points[0]
    way = next(path.get("d") for path in drawing.iter("path"))
    heights = [float(part.split()[0]) for part in way.replace("M", "V0 ").split("V")[2:]]
    assert heights == sorted(heights, reverse=True)


def test_a_round_far_below_the_others_is_pinned_and_still_tells_its_value() -> None:
    trials = [[n, [1.0], 0.5, value, 0.4] for n, value in enumerate([0.3, -9.0, *[0.35] * 14])]
    drawing = ElementTree.fromstring(trials_chart(trials))
    (pinned,) = [c for c in drawing.iter("circle") if c.get("class") == "trial pinned"]
    assert "value -9.0000" in pinned.findtext("title")
    others = [float(c.get("cy")) for c in drawing.iter("circle") if c is not pinned]
    assert max(others) - min(others) > 2 and max(others) < float(pinned.get("cy"))


def test_gains_stand_left_and_up_losses_right_and_down() -> None:
    deltas = [
        {"name": n, "ap_before": 0.5, "ap_after": 0.5 + d, "delta": d} for n, d in (("a", -0.1), ("b", 0.2), ("c", 0.0))
    ]
    svg = delta_chart(deltas)
    (up,), (down,), (same,) = (bars(svg, f"delta {kind}") for kind in ("better", "worse", "same"))
    assert float(up.get("x")) < float(same.get("x")) < float(down.get("x"))
    assert float(up.get("height")) == pytest.approx(2 * float(down.get("height")), abs=0.2)
    assert float(up.get("y")) < float(down.get("y"))
    assert "b: 50.0% to 70.0%, +20.00 points" in up.findtext("title")


def test_nothing_to_draw_is_nothing_and_text_stays_text() -> None:
    assert score_histogram({}, []) == trials_chart([[0, [], 0.5, 0.1, 0.1]]) == delta_chart([]) == ""
    hostile = "<script>alert(1)</script>"
    for svg in (
        score_histogram({"kept": [0.5]}, [Cut(0.5, hostile)]),
        delta_chart([{"name": hostile, "ap_before": 0.1, "ap_after": 0.2, "delta": 0.1}]),
    ):
        assert "<script" not in svg
        ElementTree.fromstring(svg)
