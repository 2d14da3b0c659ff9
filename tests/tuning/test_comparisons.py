"""The region of candidates, the projection into it, and exact counting of comparisons."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.retrieval.fusion import fuse
from tuning.comparisons import Region, Segments, bounds, project, scores, split


def test_corners_of_a_small_box_on_the_simplex_are_a_hexagon():
    region = Region([0.4, 0.3, 0.3], 0.1)
    wanted = {
        (0.5, 0.2, 0.3),
        (0.5, 0.3, 0.2),
        (0.4, 0.2, 0.4),
        (0.4, 0.4, 0.2),
        (0.3, 0.4, 0.3),
        (0.3, 0.3, 0.4),
    }
    assert {tuple(np.round(c, 9)) for c in region.corners} == wanted


def test_corners_of_the_simplex_are_the_unit_vectors():
    assert {tuple(c) for c in Region.simplex(3).corners} == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}


def test_region_of_radius_zero_is_its_centre():
    assert Region([0.25, 0.75], 0).corners.tolist() == [[0.25, 0.75]]


def test_candidates_outside_the_region_are_refused():
    region = Region([0.5, 0.5], 0.1)
    region.check([[0.6, 0.4]])
    with pytest.raises(ValueError, match="outside"):
        region.check([[0.7, 0.3]])
    with pytest.raises(ValueError, match="2 descriptors"):
        region.check([[0.2, 0.3, 0.5]])
    with pytest.raises(ValueError, match="sum to 1"):
        Region([0.5, 0.6], 0.1)


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(0, 10_000), st.floats(0.0, 0.3))
def test_projection_lands_in_the_region_and_leaves_points_inside_alone(n, seed, radius):
    rng = np.random.default_rng(seed)
    region = Region(rng.dirichlet(np.ones(n)), radius)
    w = project(rng.normal(0, 1, (6, n)), region)
    region.check(w)
    np.testing.assert_allclose(project(w, region), w, atol=1e-9)


def test_projection_is_the_nearest_point():
    region = Region([0.2, 0.3, 0.5], 0.15)
    p = np.array([0.9, 0.4, -0.2])
    best = project(p, region)[0]
    others = project(np.random.default_rng(0).normal(0.3, 0.4, (500, 3)), region)
    assert ((best - p) ** 2).sum() <= ((others - p) ** 2).sum(axis=1).min() + 1e-12


def test_scores_are_equation_1_as_the_engine_computes_it():
    rng = np.random.default_rng(1)
    s = rng.uniform(-0.5, 1, (50, 3)).astype(np.float32)
    s[rng.random((50, 3)) < 0.4] = np.nan
    w = np.array([0.5, 0.5, 0.0])
    np.testing.assert_allclose(scores(s, w), np.nan_to_num(fuse(s, w), nan=-1.0), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4), st.integers(0, 10_000), st.sampled_from([0.0, 0.06, 0.3, 1.0]), st.booleans())
def test_counts_equal_brute_force_with_ties_and_gaps(n, seed, radius, gaps):
    rng = np.random.default_rng(seed)
    # Sixteenths times 64ths are exact in single precision, so equal scores are truly equal.
    w0 = rng.multinomial(64, np.ones(n) / n) / 64
    region = Region(w0, radius)
    rows = rng.integers(0, 17, (60, n)) / 16
    if gaps:
        rows[rng.random((60, n)) < 0.25] = np.nan
    targets = rows[:7]
    x, xp = split(rows)
    segments = Segments(region)
    owner = np.repeat(np.arange(len(targets)), len(rows))
    every = np.tile(np.arange(len(rows)), len(targets))
    known = np.zeros(len(targets), dtype=np.intp)
    segments.add(x[every], xp[every], x[owner], xp[owner], owner=owner, known=known)
    w = project(w0 + rng.uniform(-radius, radius, (40, n)), region)
    w = np.round(w * 64) / 64
    w = w[(abs(w.sum(1) - 1) < 1e-9) & (w >= region.low).all(1) & (w <= region.high).all(1)]
    w = np.vstack([w0, w, *([region.corners] if radius == 1.0 else [])])
    found = segments.count(region.check(w))
    for c, candidate in enumerate(w):
        s = scores(rows, candidate)
        assert found[c].tolist() == [int((s >= s[t]).sum()) for t in range(len(targets))]


def test_bounds_hold_for_every_candidate_even_when_all_weight_may_lie_on_a_gap():
    rng = np.random.default_rng(5)
    rows = rng.random((80, 3))
    rows[rng.random((80, 3)) < 0.4] = np.nan
    for region in (Region.simplex(3), Region([0.6, 0.3, 0.1], 0.15)):
        low, high = bounds(*split(rows), region)
        for w in (*project(rng.normal(0.3, 0.3, (200, 3)), region), *region.corners):
            s = scores(rows, w)
            assert (s >= low - 1e-9).all()
            assert (s <= high + 1e-9).all()


def test_a_small_region_settles_most_comparisons():
    rng = np.random.default_rng(3)
    x, xp = split(rng.random((4000, 3)))
    wide, narrow = Segments(Region.simplex(3)), Segments(Region([0.4, 0.3, 0.3], 0.06))
    for segments in (wide, narrow):
        r, rp = np.broadcast_to(x[0], x.shape), np.broadcast_to(xp[0], x.shape)
        segments.add(x, xp, r, rp, owner=np.zeros(len(x), dtype=np.intp), known=np.zeros(1, dtype=np.intp))
    assert narrow.undecided < 0.3 * wide.undecided
