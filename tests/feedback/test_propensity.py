"""Propensities against simulated examiners whose habit is known."""

import numpy as np
import pytest

from feedback.propensity import PropensityModel, estimate


def audits(searches: int, eta: float, *, relevant: float = 0.15, cut: int = 6, columns: int = 4, seed: int = 0):
    """Two audit slots a search, uniform below its cut: who examines looks at a row with (1 + row)^-eta."""
    rng = np.random.default_rng(seed)
    places = rng.integers(np.repeat(rng.integers(0, cut + 1, searches), 2), 48)
    looked = rng.random(len(places)) < (1.0 + places // columns) ** -eta
    return places, looked & (rng.random(len(places)) < relevant), np.ones(len(places), bool)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_known_decay_is_found_within_an_error_that_shrinks_with_the_data(eta: float) -> None:
    truth = (1.0 + np.arange(12)) ** -eta
    errors = []
    for searches in (1500, 12_000):
        model = estimate(*audits(searches, eta))
        errors.append(np.abs(model.at(np.arange(12) * 4) - np.maximum(truth, 0.1)).mean())
    assert errors[0] < 0.15 and errors[1] < 0.08, errors
    assert abs(model.eta - eta) < 0.15


def test_a_habit_that_is_no_power_law_is_found_too() -> None:
    # Everybody looks at the first page and one in five at the second.
    rng = np.random.default_rng(1)
    places, _, shown = audits(20_000, 0.0)
    looked = rng.random(len(places)) < np.where(places < 24, 1.0, 0.2)
    model = estimate(places, looked & (rng.random(len(places)) < 0.2), shown)
    assert model.at([0, 20]).min() > 0.8 and abs(model.at([28, 47]) - 0.2).max() < 0.1


def test_with_little_data_it_is_flat() -> None:
    places, changed, shown = audits(40, 1.0)
    assert changed.sum() < 30
    assert estimate(places, changed, shown) == PropensityModel.flat() == estimate([], [], [])
    assert PropensityModel.flat().at([0, 500]).tolist() == [1.0, 1.0] and PropensityModel.flat().is_flat


def test_just_enough_data_moves_it_only_a_little_when_the_prior_is_strong() -> None:
    data = audits(800, 1.0)
    assert data[1].sum() >= 30
    weak, strong = (estimate(*data, prior_strength=strength) for strength in (1.0, 3000.0))
    assert min(strong.rows) > 0.85 > min(weak.rows)


def test_it_never_rises_and_starts_at_one() -> None:
    for seed in range(5):
        model = estimate(*audits(800, 0.7, seed=seed))
        assert model.rows[0] == 1.0 and (np.diff(model.rows) <= 0).all() and min(model.rows) >= 0.1


def test_pages_that_were_not_reached_say_nothing() -> None:
    places, changed, _ = audits(6000, 0.0)
    reached = np.random.default_rng(2).random(len(places)) < np.where(places < 24, 1.0, 0.3)
    model = estimate(places, changed & reached, reached)
    assert min(model.rows) > 0.8  # unseen is not unlooked at: only rows that were shown count
    assert min(estimate(places, changed & reached, np.ones(len(places))).rows) < 0.5


def test_counts_per_place_are_the_same_as_slot_by_slot() -> None:
    places, changed, shown = audits(3000, 0.6)
    counted = estimate(np.arange(48), np.bincount(places, changed, 48), np.bincount(places, shown, 48))
    assert counted.rows == pytest.approx(estimate(places, changed, shown).rows)


def test_it_survives_storage_and_reads_places_row_by_row() -> None:
    model = PropensityModel(rows=(1.0, 0.5, 0.25), columns=4, changes=40, eta=1.0)
    assert PropensityModel.from_json(model.to_json()) == model
    assert model.at([0, 3, 4, 8, 900]).tolist() == [1.0, 1.0, 0.5, 0.25, 0.25]


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="above it"):
        PropensityModel(rows=(0.5, 0.6))
    with pytest.raises(ValueError, match="from 0"):
        PropensityModel.flat().at([-1])
    with pytest.raises(ValueError, match="place"):
        estimate([1, 2], [True], [True, True])
