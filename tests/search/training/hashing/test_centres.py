"""Centres: balanced, far apart, and as far as so many codes can be."""

import itertools

import numpy as np
import pytest

from search.training.hashing.centres import aligned_centres, hadamard, hash_centres, least_distance, separation


def test_sylvesters_matrix() -> None:
    assert hadamard(2).tolist() == [[1, 1], [1, -1]]
    h = hadamard(32).astype(int)
    np.testing.assert_array_equal(h @ h.T, 32 * np.eye(32))
    with pytest.raises(ValueError, match="power of two"):
        hadamard(12)


def test_up_to_twice_the_bits_centres_are_hadamard_rows_half_the_bits_apart_and_balanced() -> None:
    centres = hash_centres(64, 32)
    np.testing.assert_array_equal(centres[:32], hadamard(32))
    np.testing.assert_array_equal(centres[32:], -hadamard(32))
    assert separation(centres)[0] == 16
    assert separation(hash_centres(33, 32))[0] == 16
    # Every row but those of ones has as many 1 as -1.
    sums = centres.sum(axis=1)
    assert (np.delete(sums, [0, 32]) == 0).all()


def test_more_centres_are_coin_flips_that_keep_their_distance() -> None:
    centres = hash_centres(500, 64)
    least, mean = separation(centres)
    assert least >= least_distance(500, 64) > 16 and mean == pytest.approx(32, abs=0.2)
    assert abs(float(centres.mean())) < 0.02
    np.testing.assert_array_equal(centres, hash_centres(500, 64))
    assert (centres != hash_centres(500, 64, seed=1)).any()


def test_least_distance_is_the_largest_that_half_of_all_draws_keep() -> None:
    # 4 bits, 4 codes: P(distance < 1) = 1/16, 4/16 <= 1/2; P(distance < 2) = 5/16, 20/16 > 1/2.
    assert least_distance(4, 4) == 1
    assert least_distance(1, 4) == 2
    assert least_distance(12_000, 64) < least_distance(100, 64) < 32


def test_aligned_centres_are_near_where_the_families_are_and_all_different() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(size=(60, 64))
    means[1] = means[0]  # two families that look the same
    centres = aligned_centres(means)
    off = [(a != b).sum() for a, b in itertools.combinations(centres, 2)]
    assert min(off) >= least_distance(60, 64) // 2
    kept = (centres == np.where(means > 0, 1, -1)).mean(axis=1)
    assert np.median(kept) == 1 and kept.min() > 0.7
