"""Training: repeatable, resumable, better than where it began, and a head that says what the network says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from search.retrieval.hashing import HashHead
from search.training.hashing.data import HashData
from search.training.hashing.recipes import RECIPES, CentreRecipe, PairRecipe, Recipe
from search.training.hashing.run import finished_head, itq_head, start

SMOKE = ("smoke-000", "smoke-capsules", "smoke-001")


def quiet(step: int, figures: Mapping[str, float]) -> None:
    assert np.isfinite(list(figures.values())).all()


@pytest.mark.parametrize("name", SMOKE)
def test_the_same_seed_gives_the_same_bits_also_when_it_was_stopped(name: str, data: HashData, tmp_path: Path) -> None:
    through = start(data, RECIPES[name], tmp_path / "a")
    through.run(tmp_path / "a", report=quiet)
    half = start(data, RECIPES[name], tmp_path / "b")
    half.run(tmp_path / "b", report=quiet, until=2)
    resumed = start(data, RECIPES[name], tmp_path / "b")
    assert resumed.step == 2
    resumed.run(tmp_path / "b", report=quiet)
    np.testing.assert_array_equal(through.values(data.features), resumed.values(data.features))
    with pytest.raises(ValueError, match="of recipe"):
        start(data, replace(RECIPES[name], name="another"), tmp_path / "b")


@pytest.mark.parametrize(
    "recipe",
    [
        CentreRecipe("c", 16, steps=60, batch=16, hidden=16, start="chance", noise=0.0, fused=False, sparsity=0.0),
        CentreRecipe("g", 16, steps=60, batch=16, hidden=16, start="chance", centres="groups"),
        CentreRecipe("a", 16, steps=60, batch=16, hidden=16, start="chance", centres="aligned"),
        CentreRecipe("k", 16, steps=60, batch=16, body="capsules", groups=4, start="chance", keep="all"),
        PairRecipe("p", 16, steps=60, batch=12, hidden=16, start="chance", weak_alpha=1.0, consistent=0.1),
    ],
    ids=lambda recipe: recipe.name,
)
def test_relatives_come_nearer_to_each_other_than_to_strangers(recipe: Recipe, data: HashData, tmp_path: Path) -> None:
    run = start(data, replace(recipe, rate=1e-2), tmp_path)
    before = _gap(run.values(data.features, data.rows), data)
    run.run(tmp_path, report=quiet, every=1000)
    after = _gap(run.values(data.features, data.rows), data)
    assert after > before + 1


def _gap(values: np.ndarray, data: HashData) -> float:
    """Mean Hamming distance of strangers minus that of relatives."""
    codes = values > 0
    distances = (codes[:, None] != codes[None]).sum(axis=2)
    same = data.families[:, None] == data.families[None]
    off = ~np.eye(len(codes), dtype=bool)
    return float(distances[~same].mean() - distances[same & off].mean())


@pytest.mark.parametrize("name", ["smoke-000", "smoke-001"])
def test_the_head_gives_the_networks_bits_and_says_where_it_comes_from(
    name: str, data: HashData, tmp_path: Path
) -> None:
    run = start(data, RECIPES[name], tmp_path)
    run.run(tmp_path, report=quiet)
    head = finished_head(run)
    assert head is not None and head.name == f"hash-{name}" and head.bits == 16
    vectors = data.features.general.astype(np.float32)
    np.testing.assert_allclose(head.values(vectors), run.values(data.features), atol=0.05)
    head.save(tmp_path / "head.safetensors")
    again = HashHead.load(tmp_path / "head.safetensors")
    np.testing.assert_array_equal(again.codes(vectors), head.codes(vectors))
    assert again.facts["recipe"]["name"] == name and again.facts["data"]["kept"] == 3
    assert dict(again.made_for) == dict(data.features.made_for)


def test_a_network_that_needs_the_feature_map_has_no_head(data: HashData, tmp_path: Path) -> None:
    assert finished_head(start(data, RECIPES["smoke-capsules"], tmp_path)) is None


def test_a_vector_network_starts_with_the_bits_of_itq(data: HashData, tmp_path: Path) -> None:
    run = start(data, RECIPES["smoke-000"], tmp_path)
    itq = itq_head(data, 16)
    vectors = data.features.general.astype(np.float32)
    same = (run.values(data.features) > 0) == (itq.values(vectors) > 0)
    assert same.mean() > 0.99


@pytest.mark.gpu
def test_the_gpu_trains_to_nearly_the_same_numbers(data: HashData, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    made = []
    for device in ("cpu", "cuda"):
        run = start(data, RECIPES["smoke-000"], tmp_path / device, device=device)
        run.run(tmp_path / device, report=quiet)
        made.append(run.values(data.features))
    np.testing.assert_allclose(made[0], made[1], atol=0.02)
