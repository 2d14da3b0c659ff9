import numpy as np
import pytest

from search.retrieval.pooling import gem, mac, rmac, spoc, unit

MAPS = np.array([[[[0.0, 2.0], [4.0, 6.0]], [[1.0, 1.0], [1.0, 1.0]]]], np.float32)


def test_spoc_is_the_mean_and_mac_the_maximum() -> None:
    np.testing.assert_allclose(spoc(MAPS), [[3.0, 1.0]])
    np.testing.assert_allclose(mac(MAPS), [[6.0, 1.0]])


def test_gem_runs_from_spoc_to_mac() -> None:
    np.testing.assert_allclose(gem(MAPS, p=1), spoc(MAPS), rtol=1e-5)
    np.testing.assert_allclose(gem(MAPS, p=40), mac(MAPS), rtol=0.04)
    # ((0 + 8 + 64 + 216) / 4) ^ (1/3) = 72 ^ (1/3)
    assert gem(MAPS, p=3)[0, 0] == pytest.approx(72 ** (1 / 3), rel=1e-5)


def test_rmac_with_one_level_on_a_square_is_unit_mac() -> None:
    np.testing.assert_allclose(rmac(MAPS, levels=1), unit(mac(MAPS)), rtol=1e-6)


def test_rmac_adds_unit_windows() -> None:
    # Level 2 on 2 x 2: four windows of one pixel each, made unit and added to level 1.
    windows = unit(np.array([[0, 1], [2, 1], [4, 1], [6, 1]], np.float32))
    np.testing.assert_allclose(rmac(MAPS, levels=2)[0], unit(mac(MAPS))[0] + windows.sum(0), rtol=1e-5)


def test_rmac_covers_both_ends_of_an_oblong_map() -> None:
    maps = np.zeros((1, 2, 2, 6), np.float32)
    maps[0, 0, 0, 0] = maps[0, 1, 0, 5] = 1
    pooled = rmac(maps, levels=1)[0]
    np.testing.assert_allclose(pooled, [1, 1])


def test_unit_leaves_a_zero_row_zero() -> None:
    np.testing.assert_allclose(unit(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]], rtol=1e-6)
