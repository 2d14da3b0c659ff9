"""The same tests over every engine."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search.retrieval.engines import VectorIndex, build_index, load_index
from search.retrieval.engines.exact import ExactIndex
from search.retrieval.engines.faiss_index import FaissIndex
from search.retrieval.pooling import unit

ROWS = unit(np.random.default_rng(1).normal(size=(3000, 24)))
QUERIES = unit(ROWS[:20] + 0.3 * np.random.default_rng(2).normal(size=(20, 24)) / 5)
BUILD: dict[str, Callable[[np.ndarray], VectorIndex]] = {
    "exact": ExactIndex,
    "faiss-flat": FaissIndex.build,
    "faiss-ivf": lambda rows: FaissIndex.build(rows, lists=64),
}
LOAD: dict[str, Callable[[Path], VectorIndex]] = {
    "exact": ExactIndex.load,
    "faiss-flat": load_index,
    "faiss-ivf": load_index,
}


@pytest.fixture(scope="module", params=list(BUILD))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def index(kind: str) -> VectorIndex:
    return BUILD[kind](ROWS)


def test_finds_what_a_full_scan_finds(index: VectorIndex, kind: str) -> None:
    scores, ids = index.search(QUERIES, 10)
    truth = np.argsort(-(QUERIES @ ROWS.T), axis=1)[:, :10]
    overlap = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(ids, truth, strict=True)])
    assert overlap == 1 if kind != "faiss-ivf" else overlap > 0.6
    np.testing.assert_array_equal(ids[:, 0], truth[:, 0])
    np.testing.assert_allclose(scores[:, 0], (QUERIES * ROWS[ids[:, 0]]).sum(1), rtol=1e-4)


def test_scores_fall(index: VectorIndex) -> None:
    scores, _ = index.search(QUERIES, 50)
    assert np.all(np.diff(scores, axis=1) <= 1e-6)


@pytest.mark.parametrize("allowed_rows", [5, 100, 1500])
def test_a_filter_fills_the_list_from_allowed_rows_only(index: VectorIndex, allowed_rows: int) -> None:
    allowed = np.zeros(len(ROWS), bool)
    allowed[np.random.default_rng(3).choice(len(ROWS), allowed_rows, replace=False)] = True
    scores, ids = index.search(QUERIES, 40, allowed=allowed)
    assert ids.shape == (20, min(40, allowed_rows))
    assert np.all(ids >= 0) and allowed[ids].all()
    assert np.isfinite(scores).all()


def test_a_rare_filter_is_exact(index: VectorIndex) -> None:
    allowed = np.zeros(len(ROWS), bool)
    allowed[7::100] = True
    _, ids = index.search(QUERIES, 10, allowed=allowed)
    rows = np.flatnonzero(allowed)
    truth = rows[np.argsort(-(QUERIES @ ROWS[rows].T), axis=1)[:, :10]]
    np.testing.assert_array_equal(ids, truth)


def test_nothing_allowed_gives_an_empty_list(index: VectorIndex) -> None:
    scores, ids = index.search(QUERIES, 10, allowed=np.zeros(len(ROWS), bool))
    assert scores.shape == ids.shape == (20, 0)


def test_more_asked_for_than_there_is(kind: str) -> None:
    small = BUILD[kind](ROWS) if kind == "faiss-ivf" else BUILD[kind](ROWS[:4])
    _, ids = small.search(QUERIES[:1], 10_000)
    assert ids.shape[1] == small.count


def test_survives_saving(index: VectorIndex, kind: str, tmp_path: Path) -> None:
    index.save(tmp_path / "index")
    loaded = LOAD[kind](tmp_path / "index")
    allowed = np.arange(len(ROWS)) % 2 == 0
    for mask in (None, allowed):
        for a, b in zip(index.search(QUERIES, 10, allowed=mask), loaded.search(QUERIES, 10, allowed=mask), strict=True):
            np.testing.assert_array_equal(a, b)


def test_size_chooses_the_engine(tmp_path: Path) -> None:
    flat, lists = build_index(ROWS), build_index(ROWS, flat_limit=1000)
    flat.save(tmp_path / "a")
    lists.save(tmp_path / "b")
    assert (tmp_path / "b").stat().st_size > (tmp_path / "a").stat().st_size  # it also keeps the lists
    # Weights live on the query side: a reweighted query needs no other index.
    reweighted = QUERIES * np.linspace(0, 1, 24, dtype=np.float32)
    _, ids = flat.search(reweighted, 1)
    np.testing.assert_array_equal(ids[:, 0], (reweighted @ ROWS.T).argmax(axis=1))


@pytest.mark.gpu
def test_gpu_finds_the_same_within_rounding() -> None:
    faiss = pytest.importorskip("faiss")
    if not hasattr(faiss, "StandardGpuResources") or faiss.get_num_gpus() == 0:
        pytest.skip("no CUDA device, or a FAISS without GPU")
    cpu, gpu = FaissIndex.build(ROWS), FaissIndex.build(ROWS, gpu=True)
    a, ids_a = cpu.search(QUERIES, 10)
    b, ids_b = gpu.search(QUERIES, 10)
    np.testing.assert_allclose(a, b, atol=1e-4)
    assert (ids_a == ids_b).mean() > 0.99
