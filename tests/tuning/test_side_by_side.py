"""Ranking a kept search again: the formula, and what can be promised about marks that were not kept."""

import math

import numpy as np
import pytest

from search.retrieval.fusion import fuse
from search.retrieval.parameters import ClusterParameters
from tuning.side_by_side import ceiling, difference, side

NAMES = ("general", "edges", "colour")
GAP = float("nan")


def given(*weights: float, threshold: float = 0.5) -> ClusterParameters:
    return ClusterParameters(dict(zip(NAMES, weights, strict=True)), threshold, 0.1)


SERVED = given(1.0, 0.0, 0.0)
ROWS = [[0.9, 0.1, 0.0], [0.8, 0.6, 0.0], [0.7, GAP, 0.0], [0.1, 0.9, 0.0]]


def test_each_side_ranks_by_its_own_weights_and_cut() -> None:
    found = side(ROWS, NAMES, given(0.5, 0.5, 0.0, threshold=0.6), served=SERVED, floor=None)
    # 0.5, 0.7, 0.7 (edges missing: general counts alone), 0.5; equal scores keep the kept order.
    assert found.scores == pytest.approx([0.5, 0.7, 0.7, 0.5])
    assert found.ranks.tolist() == [3, 1, 2, 4]
    assert found.order.tolist() == [1, 2, 0, 3]
    assert found.preselected.tolist() == [False, True, True, False]
    assert found.certain == 4


def test_the_serving_weights_keep_the_order_and_all_of_it_is_certain_above_the_floor() -> None:
    found = side(ROWS, NAMES, SERVED, served=SERVED, floor=0.1)
    assert found.ranks.tolist() == [1, 2, 3, 4]
    assert found.certain == 3  # the last stands at the floor: another may stand there too


@pytest.mark.parametrize("floor", [0.0, 0.15, 0.4, 0.8])
def test_no_mark_below_the_floor_scores_above_the_ceiling_and_some_come_close(floor: float) -> None:
    rng = np.random.default_rng(3)
    old, new = given(0.6, 0.3, 0.1), given(0.45, 0.25, 0.3)
    rows = rng.uniform(0, 1, (200_000, 3)) ** rng.choice([0.2, 1, 3, 12], (200_000, 3))
    rows[rng.uniform(size=rows.shape) < 0.15] = GAP
    rows[:, 0] = np.where(np.isnan(rows[:, 0]), 0.0, rows[:, 0])
    kept_out = rows[fuse(rows, old.weight_vector(NAMES)) <= floor]
    top = ceiling(NAMES, new, served=old, floor=floor)
    assert len(kept_out) or floor == 0.0
    if len(kept_out):
        best = float(fuse(kept_out, new.weight_vector(NAMES)).max())
        assert best <= top + 1e-6
        assert best > top - 0.12
    assert top < 1.0


def test_a_descriptor_that_had_no_say_can_bring_up_anything() -> None:
    assert ceiling(NAMES, given(0.5, 0.0, 0.5), served=SERVED, floor=0.0) >= 0.5


def test_what_changes_is_counted_among_the_marks_shown() -> None:
    a = side(ROWS, NAMES, SERVED, served=SERVED, floor=None)
    b = side(ROWS, NAMES, given(0.0, 1.0, 0.0), served=SERVED, floor=None)
    assert b.ranks.tolist() == [3, 2, 4, 1]
    found = difference(a, b, top=2, chosen=[False, True, False, True])
    # Shown: rows 0, 1 by a; rows 3, 1 by b.
    assert (found.up, found.down, found.same, found.only_a, found.only_b) == (1, 1, 1, 1, 1)
    assert found.preselected == (3, 2, 1)
    assert (found.chosen, found.chosen_preselected, found.chosen_rank) == (2, (1, 2), (3.0, 1.5))
    nobody = difference(a, b, top=2, chosen=[False] * 4)
    assert nobody.chosen == 0 and all(math.isnan(rank) for rank in nobody.chosen_rank)


def test_a_search_without_results_has_two_empty_sides() -> None:
    empty = side([], NAMES, SERVED, served=SERVED, floor=None)
    assert (len(empty.order), empty.certain) == (0, 0)
    assert difference(empty, empty, top=24, chosen=[]).preselected == (0, 0, 0)
