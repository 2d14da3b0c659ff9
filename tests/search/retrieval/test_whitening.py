from pathlib import Path

import numpy as np
import pytest

from search.retrieval.pooling import unit
from search.retrieval.whitening import Whitening


@pytest.fixture
def rows() -> np.ndarray:
    rng = np.random.default_rng(3)
    # Correlated, with very unequal variances and a mean far from 0.
    return np.abs(rng.normal(size=(400, 12)) @ rng.normal(size=(12, 12)) * np.linspace(0.1, 4, 12) + 5)


def test_whitened_directions_are_uncorrelated_with_variance_one(rows: np.ndarray) -> None:
    whitening = Whitening.fit(rows, 6)
    white = (unit(rows) - whitening.mean) @ whitening.matrix
    np.testing.assert_allclose(np.cov(white.T), np.eye(6), atol=1e-3)


def test_applied_rows_are_unit_and_a_zero_row_stays_zero(rows: np.ndarray) -> None:
    whitening = Whitening.fit(rows, 6)
    got = whitening.apply(np.vstack([rows[:3], np.zeros(12)]))
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), [1, 1, 1, 0], atol=1e-5)


def test_keeps_the_strongest_directions(rows: np.ndarray) -> None:
    few, many = Whitening.fit(rows, 2), Whitening.fit(rows, 5)
    np.testing.assert_allclose(few.matrix, many.matrix[:, :2], atol=1e-5)


def test_more_dimensions_than_rows_give_the_same_directions(rows: np.ndarray) -> None:
    wide = np.hstack([rows[:30], np.zeros((30, 40))])
    few, many = Whitening.fit(wide, 6), Whitening.fit(rows[:30], 6)
    np.testing.assert_allclose(np.abs(few.matrix[:12]), np.abs(many.matrix), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        few.apply(wide) @ few.apply(wide).T, many.apply(rows[:30]) @ many.apply(rows[:30]).T, atol=1e-3
    )


def test_scale_of_the_input_does_not_matter(rows: np.ndarray) -> None:
    whitening = Whitening.fit(rows, 6)
    np.testing.assert_allclose(whitening.apply(rows * 7), whitening.apply(rows), atol=1e-5)


def test_survives_saving_and_names_its_version_by_content(rows: np.ndarray, tmp_path: Path) -> None:
    whitening = Whitening.fit(rows, 6)
    whitening.save(tmp_path / "w.npz")
    loaded = Whitening.load(tmp_path / "w.npz")
    assert loaded.version == whitening.version
    np.testing.assert_array_equal(loaded.apply(rows), whitening.apply(rows))
    assert Whitening.fit(rows[:300], 6).version != whitening.version
    assert Whitening.fit(rows, 6).version == whitening.version


def test_refuses_too_few_rows(rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match="cannot be whitened"):
        Whitening.fit(rows[:6], 6)


def test_power_nought_keeps_variances_and_half_a_power_evens_them_by_half(rows: np.ndarray) -> None:
    x = unit(rows)
    spreads = []
    for power in (0.0, 0.25, 0.5):
        found = Whitening.fit(rows, 2, power=power)
        spreads.append(((x - found.mean) @ found.matrix).std(axis=0))
    ratios = [float(spread[0] / spread[1]) for spread in spreads]
    assert ratios[0] > ratios[1] > ratios[2]
    assert ratios[1] == pytest.approx(ratios[0] ** 0.5, rel=1e-3)
    assert ratios[2] == pytest.approx(1, rel=1e-3)


def test_power_nought_and_not_centred_leaves_cosines_as_they_are(rows: np.ndarray) -> None:
    found = Whitening.fit(rows, rows.shape[1], power=0.0, centred=False).apply(rows)
    assert found @ found.T == pytest.approx(unit(rows) @ unit(rows).T, abs=1e-4)
