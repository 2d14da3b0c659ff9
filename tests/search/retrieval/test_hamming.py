"""The same tests over the exact scan and the inverted lists of codes."""

from pathlib import Path

import numpy as np
import pytest

from search.retrieval.engines.hamming import HammingIndex, build_hamming

RNG = np.random.default_rng(5)
CODES = RNG.integers(0, 256, (2000, 8), dtype=np.uint8)
QUERIES = CODES[:10] ^ np.packbits(RNG.random((10, 64)) < 0.05, axis=1)
BITS = np.unpackbits(QUERIES[:, None] ^ CODES[None], axis=2).sum(axis=2)


@pytest.fixture(scope="module", params=[0, 16], ids=["flat", "lists"])
def index(request: pytest.FixtureRequest) -> HammingIndex:
    return HammingIndex.build(CODES, lists=request.param)


def test_finds_the_nearest_by_hamming_distance(index: HammingIndex) -> None:
    distances, ids = index.search(QUERIES, 20)
    assert (ids[:, 0] == np.arange(10)).sum() >= (10 if index._lists == 0 else 7)  # only some lists are visited
    np.testing.assert_array_equal(distances, np.take_along_axis(BITS, ids, axis=1))
    assert (np.diff(distances, axis=1) >= 0).all()
    if index._lists == 0:
        np.testing.assert_array_equal(distances, np.sort(BITS, axis=1)[:, :20])


@pytest.mark.parametrize("step", [2, 50, 700])
def test_a_filter_fills_the_list_exactly_from_allowed_rows(index: HammingIndex, step: int) -> None:
    allowed = np.arange(len(CODES)) % step == 1
    distances, ids = index.search(QUERIES, 40, allowed=allowed)
    assert ids.shape == (10, min(40, allowed.sum())) and allowed[ids].all()
    np.testing.assert_array_equal(distances, np.sort(BITS[:, allowed], axis=1)[:, :40])


def test_nothing_allowed_and_more_than_there_is(index: HammingIndex) -> None:
    distances, ids = index.search(QUERIES, 5, allowed=np.zeros(len(CODES), bool))
    assert distances.shape == ids.shape == (10, 0)
    assert HammingIndex.build(CODES[:7]).search(QUERIES, 100)[1].shape == (10, 7)


def test_survives_saving(index: HammingIndex, tmp_path: Path) -> None:
    index.save(tmp_path / "codes.faiss")
    loaded = HammingIndex.load(tmp_path / "codes.faiss")
    assert (loaded.count, loaded.bits) == (2000, 64)
    for allowed in (None, np.arange(len(CODES)) % 3 == 0):
        for a, b in zip(
            index.search(QUERIES, 9, allowed=allowed), loaded.search(QUERIES, 9, allowed=allowed), strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_size_chooses_the_engine() -> None:
    assert build_hamming(CODES)._lists == 0
    assert build_hamming(CODES, flat_limit=1000)._lists > 16
