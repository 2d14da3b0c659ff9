"""The thesis's losses against values computed by hand."""

import math

import pytest
import torch

from search.training.hashing.centre_losses import (
    LearnedScales,
    centre_loss,
    class_balanced,
    decorrelation,
    quantisation,
    reconstruction,
    sparsity,
)


def test_class_balanced_weights() -> None:
    # Families of 3, 1 and 1 marks; with b = 0.5: w = 0.5/(1 - 0.5^3) = 4/7, 1, 1.
    found = class_balanced(torch.tensor([0, 0, 0, 1, 2]), beta=0.5)
    w = torch.tensor([4 / 7, 4 / 7, 4 / 7, 1.0, 1.0])
    torch.testing.assert_close(found, w / w.mean())
    assert float(found.mean()) == pytest.approx(1)
    # With the paper's b and small families every family has the same say.
    sums = class_balanced(torch.tensor([0] * 8 + [1] * 2))
    assert float(sums[:8].sum()) == pytest.approx(float(sums[8:].sum()), rel=0.01)


def test_centre_loss_is_binary_cross_entropy_of_half_tanh_plus_half() -> None:
    raw = torch.tensor([[0.3, -1.2], [2.0, 0.1]])
    centres = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    p = 0.5 * (torch.tanh(raw) + 1)
    t = 0.5 * (centres + 1)
    by_hand = -(t * p.log() + (1 - t) * (1 - p).log()).mean(dim=1)
    assert float(centre_loss(raw, centres)) == pytest.approx(float(by_hand.mean()), rel=1e-5)
    weighed = float((by_hand * torch.tensor([0.5, 1.5])).mean())
    assert float(centre_loss(raw, centres, torch.tensor([0.5, 1.5]))) == pytest.approx(weighed, rel=1e-5)
    assert math.isfinite(float(centre_loss(torch.full((1, 2), -500.0), torch.ones(1, 2))))


def test_quantisation_sparsity_reconstruction() -> None:
    assert float(quantisation(torch.tensor([[0.5, -1.0]]))) == pytest.approx(0.125)
    assert float(sparsity(torch.tensor([[1.0, -2.0], [0.0, 1.0]]))) == pytest.approx(1)
    assert float(reconstruction(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 1.0]]))) == pytest.approx(0.125)


def test_decorrelation_is_zero_for_orthogonal_bits_and_large_for_copies() -> None:
    apart = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert float(decorrelation(apart)) == pytest.approx(0)
    copies = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    assert float(decorrelation(copies)) == pytest.approx(2 / 4)  # two ones off the diagonal, over K^2


def test_learned_scales_balance_parts_of_any_size() -> None:
    scales = LearnedScales({"big": 1.0, "small": 0.01})
    losses = {"big": torch.tensor(50.0), "small": torch.tensor(0.02)}
    # a = (0, -log 0.01): 50 + 0 + 0.01 * 0.02 + log 100.
    assert float(scales(losses).detach()) == pytest.approx(50 + 0.0002 + math.log(100), rel=1e-5)
    optimiser = torch.optim.Adam(scales.parameters(), lr=0.1)
    for _ in range(300):
        optimiser.zero_grad()
        scales(losses).backward()
        optimiser.step()
    # At rest e^{-a} L = 1 for each part.
    assert scales.scales.tolist() == pytest.approx([math.log(50), math.log(0.02)], abs=0.05)
    # A part that reaches zero does not pull without end.
    nothing = LearnedScales(["zero"])
    torch.nn.init.constant_(nothing.scales, -50.0)
    assert float(nothing({"zero": torch.tensor(0.0)}).detach()) == LearnedScales.LEAST
