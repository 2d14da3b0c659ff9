"""The paper's training run: it goes, it resumes exactly, every part can be switched off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from search.training.dataset import TrainingMarks
from search.training.momentum import MomentumRecipe, MomentumTrainer
from search.training.recipes import RECIPES

SMOKE = RECIPES["paper-smoke"]
assert isinstance(SMOKE, MomentumRecipe)
RECIPE = replace(SMOKE, pixels=32, batch=4, queue=16, channels=(8, 8, 16))


def run(it: MomentumTrainer, folder: Path, until: int | None = None) -> list[float]:
    losses: list[float] = []
    it.run(folder, report=lambda step, figures: losses.append(figures["loss"]), every=1, until=until)
    return losses


def weights(it: MomentumTrainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in it.moco.parameters()])


def test_a_run_that_was_stopped_ends_as_one_that_was_not(marks: TrainingMarks, tmp_path: Path) -> None:
    whole = MomentumTrainer(marks, RECIPE)
    losses = run(whole, tmp_path / "whole")
    first = run(MomentumTrainer(marks, RECIPE), tmp_path / "parts", until=2)
    resumed = MomentumTrainer(marks, RECIPE)
    assert resumed.load(tmp_path / "parts")
    assert first + run(resumed, tmp_path / "parts") == losses
    assert torch.equal(weights(whole), weights(resumed))


def test_figures_name_the_kept_negatives_and_the_near_ones(marks: TrainingMarks) -> None:
    it = MomentumTrainer(marks, RECIPE)
    figures = it.train(it.batch(0, it.draw(0)))
    assert {"loss", "nce", "co2", "koleo", "kept", "kept_near", "rate"} <= set(figures)
    assert 1 <= figures["kept"] <= RECIPE.queue


def test_vectors_are_z_without_the_head(marks: TrainingMarks) -> None:
    found = MomentumTrainer(marks, RECIPE).vectors(np.asarray(marks.grey[:3]))
    assert found.shape == (3, 512)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(3), abs=1e-4)


@pytest.mark.parametrize(
    "off",
    [
        {"eca": False},
        {"ca": False},
        {"awff": False},
        {"laff": False},
        {"threshold": None},
        {"co2": 0.0, "koleo": 0.0},
        {"sub_batches": 1},
        {"optimiser": "adamw"},
        {"augmentation": "copyist"},
    ],
    ids="-".join,
)
def test_every_part_can_be_switched_off(marks: TrainingMarks, off: dict) -> None:
    it = MomentumTrainer(marks, replace(RECIPE, **off))
    before = weights(it).clone()
    assert np.isfinite(it.train(it.batch(0, it.draw(0)))["loss"])
    assert not torch.equal(before, weights(it))


def test_an_unknown_optimiser_is_a_sentence(marks: TrainingMarks) -> None:
    with pytest.raises(ValueError, match="no optimiser 'sgd'"):
        MomentumTrainer(marks, replace(RECIPE, optimiser="sgd"))


def test_the_printed_recipe_has_the_papers_numbers() -> None:
    recipe = RECIPES["paper-resnet50"]
    assert isinstance(recipe, MomentumRecipe)
    assert (recipe.batch, recipe.pixels, recipe.queue, recipe.rate) == (256, 160, 65_536, 2.5e-4)
    assert recipe.steps == 3 * recipe.cycle == 6 * recipe.warm_up == 30 * 3605
