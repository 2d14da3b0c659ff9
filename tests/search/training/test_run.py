"""Where a training run starts: from an encoder's file its vectors are that encoder's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from search.retrieval.encoders.trademark import TrademarkEncoder
from search.training.backbones import BACKBONES
from search.training.dataset import TrainingMarks
from search.training.export import save_encoder
from search.training.network import TrademarkNetwork, plain, vectors_of
from search.training.recipes import RECIPES, Recipe
from search.training.run import start as start_any
from search.training.run import start_supervised as start

TINY = Recipe("tiny", steps=2, sides=((0, 64),), pairs=4, warm_up=1, hard_from=1, frozen=2, chunk=8)


def saved(folder: Path) -> Path:
    torch.manual_seed(3)
    network = TrademarkNetwork(dim=32, p=2.0)
    for module in network.backbone.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    path = folder / "encoder.safetensors"
    save_encoder(path, network.backbone, network.projection, p=2.0, metadata={}, precision="float32")
    return path


def test_a_run_goes_on_from_an_encoders_weights_and_then_from_its_checkpoint(
    marks: TrainingMarks, tmp_path: Path
) -> None:
    path = saved(tmp_path)
    trainer = start(marks, TINY, tmp_path / "run", weights=path)
    grey = np.asarray(marks.grey[:6])
    before = vectors_of(plain(trainer.network), grey)
    encoded = TrademarkEncoder(device="cpu", weights=path).encode(np.repeat(grey[..., None], 3, axis=3))
    encoded /= np.linalg.norm(encoded, axis=1, keepdims=True)
    assert before.shape == (6, 32) and np.sum(before * encoded, axis=1).min() > 0.9999
    trainer.run(tmp_path / "run", report=lambda *_: None)
    after = vectors_of(plain(trainer.network), grey)
    assert np.abs(after - before).max() > 1e-5
    again = start(marks, TINY, tmp_path / "run", weights=path)
    assert again.step == 2
    np.testing.assert_allclose(vectors_of(plain(again.network), grey), after, atol=1e-5)


def test_the_feedback_recipe_is_gentler_than_the_shipped_one() -> None:
    feedback, shipped = RECIPES["feedback"], RECIPES["shipped"]
    assert feedback.rate < shipped.rate and feedback.steps < shipped.steps and feedback.frozen > shipped.frozen
    assert set(feedback.shares) == {"family", "alone"}


def test_the_papers_backbone_never_starts_by_chance_unasked(marks: TrainingMarks, tmp_path: Path) -> None:
    recipe = replace(RECIPES["paper-smoke"], backbone="resnet50", channels=(8, 8, 8))
    with pytest.raises(ValueError, match="--weights"):
        start_any(marks, recipe, tmp_path)
    assert start_any(marks, recipe, tmp_path, from_random=True).step == 0
    weights = tmp_path / "resnet50.pt"
    torch.save(BACKBONES["resnet50"](None).state_dict(), weights)
    assert start_any(marks, recipe, tmp_path, weights=weights).step == 0
