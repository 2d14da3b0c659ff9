"""The decision table is total, follows science.md 1.8 at every border, and equals its drawn tree."""

import itertools
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuning.decision_table import Action, ActionKind, TableConfig, decide
from tuning.decision_tree import fit_tree

shares = st.floats(0, 1)
COMBINERS = ("max", "min", "dc")
BORDERS = (0.08, 0.25, 0.15, 0.60, 0.20, 0.21, 0.70)


def act(pc, dc, ac, **config) -> Action:
    return decide(pc=pc, dc=dc, ac=ac, searches=100, examiners=10, config=TableConfig(**config))


@pytest.mark.parametrize(
    ("pc", "dc", "ac", "label"),
    [
        (0.0, 1.0, 1.0, "no change"),
        (math.nextafter(0.08, 0), 0.5, 0.5, "no change"),
        (0.08, 0.0, 0.0, "threshold"),
        (0.25, 0.0, 0.0, "threshold"),
        (math.nextafter(0.25, 1), 0.0, 0.0, "weights 15 %"),
        (1.0, 0.0, 0.0, "weights 15 %"),
        (0.1, math.nextafter(0.15, 0), math.nextafter(0.20, 0), "threshold"),
        (0.1, 0.15, 0.0, "weights 3 %"),
        (0.1, 0.0, 0.20, "weights 3 %"),
        (0.1, 0.60, 0.70, "weights 3 %"),
        (0.1, math.nextafter(0.60, 1), 0.0, "weights 6 %"),
        (0.1, 0.0, math.nextafter(0.70, 1), "weights 6 %"),
        (0.1, 1.0, 1.0, "weights 6 %"),
    ],
)
def test_each_row_and_border_of_the_table(pc, dc, ac, label):
    assert act(pc, dc, ac).label == label


def test_too_few_searches_or_examiners_is_no_data_and_says_how_many():
    few = decide(pc=0.9, dc=0.5, ac=0.5, searches=29, examiners=5)
    assert few.kind is ActionKind.NO_DATA
    assert "29 of 30 searches" in few.reason
    lone = decide(pc=0.9, dc=0.5, ac=0.5, searches=200, examiners=2)
    assert lone.kind is ActionKind.NO_DATA
    assert "2 of 3 examiners" in lone.reason
    none_at_all = decide(pc=0, dc=0, ac=0, searches=0, examiners=0, config=TableConfig(min_searches=0, min_examiners=0))
    assert none_at_all.kind is ActionKind.NO_DATA


def test_combiner_and_border_are_configuration():
    assert act(0.1, 0.0, 0.9, combiner="max").label == "weights 6 %"
    assert act(0.1, 0.0, 0.9, combiner="min").label == "threshold"
    assert act(0.1, 0.3, 0.9, combiner="dc").label == "weights 3 %"
    assert act(0.1, 0.0, 0.205).label == "weights 3 %"
    assert act(0.1, 0.0, 0.205, ac_low=0.21).label == "threshold"


def test_off_diagonal_cells_are_marked():
    assert act(0.1, 0.0, 0.9).off_diagonal
    assert not act(0.1, 0.3, 0.3).off_diagonal
    assert not act(0.01, 0.0, 0.9).off_diagonal


def test_reason_and_path_tell_how_the_action_came_about():
    action = act(0.12, 0.4, 0.3)
    assert "12.0%" in action.reason
    assert "3%" in action.reason
    assert [str(t) for t in action.path] == [
        "PC < 8%: no",
        "PC > 25%: no",
        "DC < 15%: no",
        "DC > 60%: no",
        "AC < 20%: no",
        "AC > 70%: no",
    ]


@pytest.mark.parametrize("bad", [-0.01, 1.01, math.nan, math.inf])
def test_values_outside_the_cube_are_refused(bad):
    with pytest.raises(ValueError, match="between 0 and 1"):
        act(0.1, bad, 0.1)


def test_borders_out_of_order_are_refused():
    with pytest.raises(ValueError, match="must rise"):
        TableConfig(dc_low=0.7)
    with pytest.raises(ValueError, match="no way to combine"):
        TableConfig(combiner="mean")


NO, YES = "PC < 8%: no", "PC < 8%: yes"
MIDDLE = "Examiners changed 10.0% of the pre-selection, {}% down the list on average and {}% away in likeness: "
FINE = "the weights are fine-tuned, each within 3%"
LOW = "likely conflicts were ranked low, so the weights change, each within 6%"
CUT = "the ranking is right and only the cut moves"


@pytest.mark.parametrize(
    ("point", "combiner", "reason", "path"),
    [
        ((0.05, 0.5, 0.5), "max", "Examiners changed 5.0% of the pre-selection, under 8%: the parameters fit and stay.",
         [YES]),
        ((0.3, 0.5, 0.5), "max", "Examiners changed 30.0% of the pre-selection, over 25%: the weights are looked for "
         "anew, each within 15%.", [NO, "PC > 25%: yes"]),
        ((0.1, 0.1, 0.1), "max", f"{MIDDLE.format(10, 10)}{CUT}.", ["DC < 15%: yes", "AC < 20%: yes"]),
        ((0.1, 0.3, 0.1), "max", f"{MIDDLE.format(30, 10)}{FINE} (distance and likeness disagree; the larger step "
         "counts).", ["DC < 15%: no", "DC > 60%: no", "AC < 20%: yes"]),
        ((0.1, 0.3, 0.1), "min", f"{MIDDLE.format(30, 10)}{CUT} (distance and likeness disagree; the smaller step "
         "counts).", ["DC < 15%: no", "DC > 60%: no", "AC < 20%: yes"]),
        ((0.1, 0.7, 0.8), "max", f"{MIDDLE.format(70, 80)}{LOW}.",
         ["DC < 15%: no", "DC > 60%: yes", "AC < 20%: no", "AC > 70%: yes"]),
        ((0.1, 0.7, 0.1), "dc", f"{MIDDLE.format(70, 10)}{LOW}.", ["DC < 15%: no", "DC > 60%: yes"]),
    ],
)  # fmt: skip
def test_the_reason_in_full_and_the_way_to_it(point, combiner, reason, path):
    action = act(*point, combiner=combiner)
    assert action.reason == reason
    way = [str(test) for test in action.path]
    assert way == (path if len(path) < 2 or "PC" in path[-1] else [NO, "PC > 25%: no", *path])
    assert action.off_diagonal == ("disagree" in reason)
    assert all(test.holds == str(test).endswith("yes") and test.feature in ("pc", "dc", "ac") for test in action.path)


def test_enough_is_enough_and_the_numbers_are_told():
    def with_(searches, examiners, **config):
        return decide(pc=0.5, dc=0.5, ac=0.5, searches=searches, examiners=examiners, config=TableConfig(**config))

    assert with_(29, 5).reason == "Not enough evidence yet: 29 of 30 searches, 5 of 3 examiners."
    assert with_(29, 5).radius == 0.0 and with_(29, 5).path == () and not with_(29, 5).off_diagonal
    assert with_(30, 3).kind is ActionKind.WEIGHTS and with_(30, 2).kind is ActionKind.NO_DATA
    assert with_(1, 0, min_searches=0, min_examiners=0).kind is ActionKind.WEIGHTS
    assert with_(0, 0, min_searches=0, min_examiners=0).kind is ActionKind.NO_DATA
    assert act(0.3, 0, 0, radius_large=0.2).radius == 0.2


def test_short_names():
    names = [Action(kind, 0.06, "").label for kind in ActionKind]
    assert names == ["no data", "resting", "no change", "threshold", "weights 6 %"]


def test_every_refusal_names_the_value():
    for name in ("pc", "dc", "ac"):
        for value in (-0.1, 1.5, math.nan):
            point = {"pc": 0.1, "dc": 0.1, "ac": 0.1, name: value}
            with pytest.raises(ValueError, match=f"^{name.upper()} is {value}; it must lie between 0 and 1\\.$"):
                decide(**point, searches=99, examiners=9)
        for value in (0.0, 1.0):
            assert decide(**{"pc": 0.1, "dc": 0.1, "ac": 0.1, name: value}, searches=99, examiners=9).reason


@pytest.mark.parametrize("measure", ["pc", "dc", "ac"])
def test_borders_rise_with_room_between_them(measure):
    low, high = f"{measure}_low", f"{measure}_high"
    for wrong in ((0.0, 0.5), (0.5, 1.0), (0.5, 0.5), (0.6, 0.5), (0.5, 0.5009), (-0.1, 0.5), (0.5, 1.2)):
        sentence = f"The borders {wrong[0]} and {wrong[1]} must rise and lie between 0 and 1."
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            TableConfig(**{low: wrong[0], high: wrong[1]})
    for right in ((0.5, 0.5011), (0.001, 0.999), (0.25, 0.25 + 2**-9)):
        assert TableConfig(**{low: right[0], high: right[1]})


def test_a_combiner_and_numbers_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match=r"^'mean' is no way to combine DC and AC; use max, min or dc\.$"):
        TableConfig(combiner="mean")
    for wrong in ({"min_searches": -1}, {"min_examiners": -1}):
        with pytest.raises(ValueError, match=r"^The smallest numbers of searches and examiners cannot be negative\.$"):
            TableConfig(**wrong)
    assert TableConfig(min_searches=0, min_examiners=0).combiner == "max"


@settings(deadline=None)
@given(shares, shares, shares, st.sampled_from(COMBINERS), st.integers(0, 60), st.integers(0, 6))
def test_every_point_has_exactly_one_action(pc, dc, ac, combiner, searches, examiners):
    config = TableConfig(combiner=combiner)
    action = decide(pc=pc, dc=dc, ac=ac, searches=searches, examiners=examiners, config=config)
    # The same table written as five conditions: exactly one of them holds, and it is the one returned.
    d = 0 if dc < 0.15 else (2 if dc > 0.60 else 1)
    a = 0 if ac < 0.20 else (2 if ac > 0.70 else 1)
    s = {"max": max(d, a), "min": min(d, a), "dc": d}[combiner]
    enough = searches >= 30 and examiners >= 3
    middle = enough and 0.08 <= pc <= 0.25
    holds = {
        ("no_data", 0.0): not enough,
        ("none", 0.0): enough and pc < 0.08,
        ("weights", 0.15): enough and pc > 0.25,
        ("threshold", 0.0): middle and s == 0,
        ("weights", 0.03): middle and s == 1,
        ("weights", 0.06): middle and s == 2,
    }
    assert [k for k, v in holds.items() if v] == [(action.kind.value, action.radius)]
    assert action.reason.endswith(".")


TREES = {(c, border): fit_tree(TableConfig(combiner=c, ac_low=border)) for c in COMBINERS for border in (0.2, 0.21)}


@pytest.mark.parametrize("key", TREES)
def test_tree_agrees_with_the_table_on_a_dense_grid_and_around_every_border(key):
    tree = TREES[key]
    assert tree.depth <= 5
    around = [
        f(b) for b in BORDERS for f in (lambda b: b, lambda b: math.nextafter(b, 0), lambda b: math.nextafter(b, 1))
    ]
    around += [b + s * e for b in BORDERS for s in (-1, 1) for e in (1e-9, 1e-7, 1e-6, 1.5e-6, 2e-6, 3e-6)]
    values = sorted({*around, 0.0, 1.0, 5e-324, *np.linspace(0, 1, 9)})
    points = list(itertools.product(values, repeat=3))
    picked = np.random.default_rng(0).choice(len(points), 25_000, replace=False)
    grid = [points[i] for i in picked]
    for point, found in zip(grid, tree.predict(grid), strict=True):
        wanted = decide(pc=point[0], dc=point[1], ac=point[2], searches=99, examiners=9, config=tree.config)
        assert (found.kind, found.radius) == (wanted.kind, wanted.radius), point


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(TREES)), shares, shares, shares)
def test_tree_agrees_with_the_table_on_random_points(key, pc, dc, ac):
    tree = TREES[key]
    wanted = decide(pc=pc, dc=dc, ac=ac, searches=99, examiners=9, config=tree.config)
    found = tree.predict([[pc, dc, ac]])[0]
    assert (found.kind, found.radius) == (wanted.kind, wanted.radius)
    # The drawn nodes, followed with plain comparisons, lead to the same place as the estimator's path.
    nodes, point, here = tree.nodes(), {"pc": pc, "dc": dc, "ac": ac}, 0
    walked = [0]
    while nodes[here].action is None:
        node = nodes[here]
        value = point[node.feature]
        here = node.yes if (value < node.border if node.operator == "<" else value <= node.border) else node.no
        walked.append(here)
    assert nodes[here].action == wanted.label
    assert tuple(walked) == tree.path(pc, dc, ac)


@pytest.mark.parametrize("value", [0.08, 0.15, 0.2, 0.25, 0.6, 0.7])
def test_the_bare_estimator_is_right_at_the_borders_too(value):
    tree = TREES["max", 0.2]
    for point in ([value, 0.3, 0.3], [0.1, value, 0.1], [0.1, 0.1, value]):
        code = int(tree.estimator.predict(np.array([point], dtype=np.float32))[0])
        assert tree._actions[code] == tree.predict([point])[0]


def test_tree_as_plain_data_for_the_drawing():
    data = json.loads(json.dumps(TREES["max", 0.2].to_json((0.01, 0.5, 0.5))))
    assert data["depth"] == 5
    assert data["nodes"][0]["text"] in ("PC < 8 %", "PC <= 25 %")
    texts = {n["text"] for n in data["nodes"] if n["action"]}
    assert texts == {"no change", "threshold", "weights 3 %", "weights 6 %", "weights 15 %"}
    assert data["nodes"][data["path"][-1]]["action"] == "no change"
