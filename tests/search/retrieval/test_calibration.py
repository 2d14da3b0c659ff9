import json

import numpy as np
import pytest

from search.retrieval.calibration import Calibration
from search.retrieval.descriptors import DESCRIPTORS

N = len(DESCRIPTORS)
RAW = np.linspace(0, 1, 2001)


@pytest.fixture(scope="module")
def fitted() -> Calibration:
    rng = np.random.default_rng(5)
    same = rng.random(3000) < 0.3
    # `general` separates well, `edges` weakly, `objects` is often missing; no mark has any other descriptor.
    sims = np.full((3000, N), np.nan)
    sims[:, :3] = np.stack(
        [
            np.where(same, 0.7, 0.3) + rng.normal(0, 0.12, 3000),
            np.where(same, 0.5, 0.4) + rng.normal(0, 0.15, 3000),
            np.where(rng.random(3000) < 0.5, np.nan, np.where(same, 0.8, 0.5) + rng.normal(0, 0.1, 3000)),
        ],
        axis=1,
    )
    return Calibration.fit(sims, same, made_for="d1")


def apply(calibration: Calibration, axis: int, raw: np.ndarray) -> np.ndarray:
    sims = np.full((len(raw), N), np.nan)
    sims[:, axis] = raw
    return calibration.apply(sims)[:, axis]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_strictly_increasing_and_pinned_at_both_ends(fitted: Calibration, axis: int) -> None:
    got = apply(fitted, axis, RAW)
    assert np.all(np.diff(got) > 0)
    assert got[0] == 0 and got[-1] == 1


@pytest.mark.parametrize("slope", [0.01, 5.0, 400.0])
def test_stays_strict_where_the_logistic_is_flat(slope: float) -> None:
    steep = Calibration({"general": slope}, {"general": -slope / 2})
    assert np.all(np.diff(apply(steep, 0, RAW)) > 0)


def test_negative_and_overshooting_cosines_are_cut(fitted: Calibration) -> None:
    assert apply(fitted, 0, np.array([-0.4, 1.0000002])).tolist() == [0, 1]


def test_missing_stays_missing(fitted: Calibration) -> None:
    got = fitted.apply([[0.5, np.nan, 0.5, *[0.5] * (N - 3)]])
    assert np.isnan(got[0]).tolist() == [False, True, *[False] * (N - 2)]


def test_separating_descriptor_gets_the_steeper_map(fitted: Calibration) -> None:
    assert fitted.slopes["general"] > fitted.slopes["edges"] > 0
    # Half way between the two kinds of pairs the percentage crosses from low to high.
    low, high = apply(fitted, 0, np.array([0.35, 0.7]))
    assert low < 0.2 and high > 0.75


def test_too_few_or_useless_pairs_keep_the_identity() -> None:
    few = Calibration.fit(np.full((30, N), 0.5), np.arange(30) < 5)
    assert not few.slopes
    np.testing.assert_allclose(apply(few, 0, RAW), RAW, atol=1e-6)
    rng = np.random.default_rng(0)
    same = np.arange(400) % 2 == 0
    upside_down = np.where(same, 0.2, 0.8) + rng.normal(0, 0.05, 400)
    assert "general" not in Calibration.fit(np.stack([upside_down] * N, axis=1), same).slopes


def test_survives_json_and_notices_edits(fitted: Calibration) -> None:
    data = json.loads(json.dumps(fitted.to_json()))
    assert Calibration.from_json(data) == fitted
    data["maps"]["general"]["slope"] += 1
    with pytest.raises(ValueError, match="edited"):
        Calibration.from_json(data)
    with pytest.raises(ValueError, match="not a calibration"):
        Calibration.from_json({"slopes": []})


def test_refuses_a_falling_map() -> None:
    with pytest.raises(ValueError, match="not increasing"):
        Calibration({"general": -1.0}, {"general": 0.0})


def test_shipped_calibration_loads_and_maps_every_descriptor() -> None:
    shipped = Calibration.shipped()
    assert {"general", "edges", "objects"} <= set(shipped.slopes) <= set(DESCRIPTORS)
    for axis in range(N):
        assert np.all(np.diff(apply(shipped, axis, RAW)) > 0)
