"""Eq 1 against sums worked out by hand."""

import numpy as np
import pytest

from search.retrieval.fusion import fuse

NAN = float("nan")


def test_weighted_sum() -> None:
    assert fuse([0.8, 0.4, 0.6], [0.5, 0.3, 0.2]) == pytest.approx(0.40 + 0.12 + 0.12)


def test_negative_similarity_counts_as_zero() -> None:
    assert fuse([0.8, -0.9, 0.6], [0.5, 0.3, 0.2]) == pytest.approx(0.40 + 0.0 + 0.12)


def test_missing_descriptor_is_dropped_and_weights_renormalised() -> None:
    # (0.5 * 0.8 + 0.3 * 0.4) / 0.8
    assert fuse([0.8, 0.4, NAN], [0.5, 0.3, 0.2]) == pytest.approx(0.65)


def test_missing_and_negative_differ() -> None:
    assert fuse([0.8, 0.4, -1.0], [0.5, 0.3, 0.2]) == pytest.approx(0.52)


def test_missing_descriptor_without_weight_changes_nothing() -> None:
    assert fuse([0.8, 0.4, NAN], [0.5, 0.5, 0.0]) == pytest.approx(0.6)


def test_nothing_present_is_nan() -> None:
    assert np.isnan(fuse([NAN, NAN, NAN], [0.5, 0.3, 0.2]))
    assert np.isnan(fuse([NAN, 0.5, NAN], [1.0, 0.0, 0.0]))


def test_identical_marks_score_one_whatever_the_weights() -> None:
    assert fuse([1.0, 1.0, 1.0], [0.7, 0.2, 0.1]) == pytest.approx(1.0)


def test_keeps_leading_axes() -> None:
    sims = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]])
    np.testing.assert_allclose(fuse(sims, [0.5, 0.3, 0.2]), [[0.5, 0.3], [0.2, 1.0]], rtol=1e-6)


def test_refuses_negative_weights_and_wrong_shapes() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        fuse([0.5, 0.5, 0.5], [0.5, 0.6, -0.1])
    with pytest.raises(ValueError, match="do not fit"):
        fuse([0.5, 0.5, 0.5], [0.5, 0.5])
