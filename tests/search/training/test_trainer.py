"""The training loop: it learns, it is reproducible, it goes on where it was stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from search.retrieval.encoders.efficientnet_lite import imagenet_weights
from search.retrieval.encoders.trademark import TrademarkEncoder
from search.training.dataset import TrainingMarks
from search.training.export import export_run
from search.training.network import TrademarkNetwork
from search.training.recipes import RECIPES, Recipe
from search.training.trainer import Trainer

RECIPE = replace(
    RECIPES["smoke"],
    sides=((0, 32),),
    pairs=6,
    steps=4,
    chunk=6,
    hard_from=1,
    memory=32,
    frozen=2,
    shares={"family": 1, "brand": 1, "alone": 1},
)


def trainer(marks: TrainingMarks, recipe: Recipe = RECIPE) -> Trainer:
    torch.manual_seed(0)
    network = TrademarkNetwork(dim=16)
    network.backbone.load_folded(imagenet_weights())
    return Trainer(network, marks, recipe)


def run(it: Trainer, folder: Path, until: int | None = None) -> list[float]:
    losses: list[float] = []
    it.run(folder, report=lambda step, figures: losses.append(figures["loss"]), every=1, until=until)
    return losses


def weights(it: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in it.average.parameters()])


def test_a_few_steps_on_the_same_batch_lower_the_loss(marks: TrainingMarks) -> None:
    it = trainer(marks, replace(RECIPE, steps=12, memory=0, rate=1e-3, warm_up=2))
    batch = it.batch(0, it.draw(0))
    losses = [it.train(batch)["loss"] for _ in range(12)]
    assert losses[-1] < losses[0] - 0.1


def test_chunks_change_nothing_but_the_memory_needed(marks: TrainingMarks) -> None:
    first, second = trainer(marks), trainer(marks, replace(RECIPE, chunk=3))
    batch = first.batch(0, first.draw(0))
    assert first.train(batch)["loss"] == pytest.approx(second.train(batch)["loss"], rel=1e-4)
    assert torch.allclose(weights(first), weights(second), atol=1e-3)


def test_the_same_seed_gives_the_same_weights(marks: TrainingMarks, tmp_path: Path) -> None:
    first, second = trainer(marks), trainer(marks)
    assert run(first, tmp_path / "a") == run(second, tmp_path / "b")
    assert torch.equal(weights(first), weights(second))


def test_a_run_that_was_stopped_ends_as_one_that_was_not(marks: TrainingMarks, tmp_path: Path) -> None:
    whole = trainer(marks)
    losses = run(whole, tmp_path / "whole")
    stopped = trainer(marks)
    first = run(stopped, tmp_path / "parts", until=2)
    resumed = trainer(marks)
    assert resumed.load(tmp_path / "parts")
    assert first + run(resumed, tmp_path / "parts") == losses
    assert torch.equal(weights(whole), weights(resumed))


def test_batches_made_by_processes_are_those_made_in_a_thread(marks: TrainingMarks, tmp_path: Path) -> None:
    recipe = replace(RECIPE, hard=0)  # hard batches are drawn from what was learnt when they are drawn
    alone, shared = trainer(marks, recipe), trainer(marks, recipe)
    losses: list[float] = []
    shared.run(tmp_path / "b", report=lambda step, figures: losses.append(figures["loss"]), workers=2)
    assert losses == run(alone, tmp_path / "a")
    assert torch.equal(weights(alone), weights(shared))


def test_a_checkpoint_of_an_older_version_begins_anew(marks: TrainingMarks, tmp_path: Path) -> None:
    run(trainer(marks), tmp_path, until=2)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del state["layout"]
    torch.save(state, tmp_path / "checkpoint.pt")
    again = trainer(marks)
    assert not again.load(tmp_path)
    assert again.step == 0


def test_a_checkpoint_of_another_recipe_is_refused(marks: TrainingMarks, tmp_path: Path) -> None:
    run(trainer(marks), tmp_path, until=1)
    with pytest.raises(ValueError, match="of recipe 'smoke'"):
        trainer(marks, replace(RECIPE, name="other")).load(tmp_path)


def test_the_side_grows_with_the_steps() -> None:
    recipe = replace(RECIPE, sides=((0, 32), (3, 64)))
    assert [recipe.side(step) for step in range(5)] == [32, 32, 32, 64, 64]


def test_a_run_is_exported_with_its_recipe_and_its_data(marks: TrainingMarks, tmp_path: Path) -> None:
    it = trainer(marks)
    run(it, tmp_path, until=1)
    path = export_run(it, tmp_path, source={"licences": {"MIT": 28}})
    found = TrademarkEncoder(device="cpu", weights=path)
    assert found.card["recipe"]["name"] == "smoke"
    assert (found.card["steps"], found.card["data"]) == (1, {"licences": {"MIT": 28}})
    grey = np.asarray(marks.grey[:4])
    vectors = found.encode(np.repeat(grey[..., None], 3, axis=3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (vectors * it.vectors(grey)).sum(axis=1) == pytest.approx(np.ones(4), abs=1e-3)
