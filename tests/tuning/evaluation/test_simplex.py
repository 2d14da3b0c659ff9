import itertools

import numpy as np
import pytest

from tuning.evaluation.simplex import climb


def hill(top):
    return lambda w: -float(((w - np.array(top)) ** 2).sum())


@pytest.mark.parametrize("top", [(0.5, 0.3, 0.2), (1.0, 0.0, 0.0), (0.0, 0.45, 0.55)])
@pytest.mark.parametrize("start", [(1 / 3, 1 / 3, 1 / 3), (0.0, 0.0, 1.0)])
def test_reaches_the_top_of_a_hill_to_the_last_step(top, start):
    found, value = climb(hill(top), [start])
    assert np.abs(found - top).max() <= 0.025 + 1e-9
    assert found.sum() == pytest.approx(1) and (found >= 0).all()
    assert value == pytest.approx(hill(top)(found))


def test_the_best_of_several_starts_is_kept():
    """Two hills: one start climbs the lower one only."""

    def two(w):
        return max(hill((1, 0, 0))(w), 0.5 + hill((0, 0, 1))(w)) if w[1] == 0 else -2.0

    assert climb(two, [(0.9, 0.0, 0.1)])[0].tolist() == [1, 0, 0]
    assert climb(two, [(0.9, 0.0, 0.1), (0.1, 0.0, 0.9)])[0].tolist() == [0, 0, 1]


def test_no_move_is_worth_more_than_the_end_and_no_point_is_scored_twice():
    seen = []

    def score(w):
        seen.append(tuple(np.round(1000 * w).astype(int)))
        return float(np.sin(7 * w[0]) + np.cos(5 * w[1]))

    found, value = climb(score, [(0.25, 0.25, 0.25, 0.25)], steps=(0.1,))
    assert len(seen) == len(set(seen))
    for a, b in itertools.permutations(range(4), 2):
        moved = found.copy()
        step = min(0.1, moved[a])
        moved[a] -= step
        moved[b] += step
        assert score(moved) <= value + 1e-9


def test_a_start_off_the_simplex_is_refused():
    with pytest.raises(ValueError, match="sum to 1"):
        climb(hill((1, 0)), [(0.5, 0.6)])
