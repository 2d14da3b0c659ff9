"""Squash, routing by agreement, masks and the margin loss, against values computed by hand."""

import math
from itertools import pairwise

import pytest
import torch

from search.training.hashing.capsules import (
    ClassCapsules,
    PrimaryCapsules,
    coupling_entropy,
    margin_loss,
    masked,
    rounds,
    route,
    squash,
)
from search.training.hashing.networks import CapsuleHash


def test_squash_keeps_the_direction_and_brings_the_length_below_one() -> None:
    # |s| = 5: 25/26 of the direction (3, 4)/5.
    found = squash(torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]]))
    torch.testing.assert_close(found[0], torch.tensor([3.0, 4.0]) / 5 * 25 / 26)
    torch.testing.assert_close(found[1].norm(), torch.tensor(0.25 / 1.25), rtol=1e-4, atol=1e-6)
    assert found[2].tolist() == [0, 0] and torch.isfinite(found).all()


def test_the_first_two_rounds_of_a_small_case_are_those_computed_by_hand() -> None:
    # Two inputs, two outputs, one number each. To output 0 they vote +1 and +1, to output 1 they vote +1 and -1.
    votes = torch.tensor([[[[1.0], [1.0]], [[1.0], [-1.0]]]])
    first, second = list(rounds(votes, 2))
    # b = 0: all couplings 1/2; s = (1, 0); v = (1/2, 0).
    assert first.couplings.flatten().tolist() == [0.5] * 4
    torch.testing.assert_close(first.v.flatten(), torch.tensor([0.5, 0.0]), atol=1e-4, rtol=0)
    # b_i0 = 1/2, b_i1 = 0: c_i0 = e^.5 / (e^.5 + 1); s_0 = 2 c_i0, and the votes to output 1 still cancel.
    c = math.exp(0.5) / (math.exp(0.5) + 1)
    s = 2 * c
    torch.testing.assert_close(second.couplings[0, :, 0], torch.tensor([c, c]), atol=1e-4, rtol=0)
    torch.testing.assert_close(second.v.flatten(), torch.tensor([s * s / (1 + s * s), 0.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(route(votes, 2), second.v)


def test_routing_converges_on_the_output_that_the_votes_agree_on() -> None:
    generator = torch.Generator().manual_seed(0)
    votes = 0.4 * torch.randn(4, 12, 5, 8, generator=generator)
    votes[:, :, 2] = torch.ones(8) + 0.1 * torch.randn(4, 12, 8, generator=generator)
    found = list(rounds(votes, 5))
    entropy = [float(coupling_entropy(r.couplings)) for r in found]
    agreement = [float(torch.einsum("nijd,njd,nij->", votes, r.v, r.couplings)) for r in found]
    assert entropy[0] == pytest.approx(1, abs=1e-5)
    assert all(a > b for a, b in pairwise(entropy))
    assert all(a < b for a, b in pairwise(agreement))
    assert (found[-1].v.norm(dim=-1).argmax(dim=1) == 2).all()
    assert (found[-1].couplings.argmax(dim=2) == 2).all()
    with pytest.raises(ValueError, match="one round"):
        route(votes, 0)


def test_moving_a_part_changes_the_pose_and_a_plain_mean_would_not_notice() -> None:
    torch.manual_seed(0)
    network = CapsuleHash(16, channels=6, groups=4, types=2)
    maps = torch.zeros(2, 6, 5, 5)
    part = torch.randn(6)
    maps[0, :, 1, 1] = part
    maps[1, :, 3, 3] = part
    torch.testing.assert_close(maps[0].mean(dim=(1, 2)), maps[1].mean(dim=(1, 2)))
    with torch.no_grad():
        a, b = network.pose(maps)
        same = network.pose(maps[:1].clone())[0]
    assert (a - b).norm() > 0.2 * a.norm()
    torch.testing.assert_close(a, same)


def test_shapes_and_that_both_bodies_have_the_same_number_of_weights() -> None:
    maps = torch.randn(3, 6, 5, 5)
    primary = PrimaryCapsules(6, 2)(maps)
    assert primary.shape == (3, 2 * 3 * 3, 8) and (primary.norm(dim=-1) < 1).all()
    assert ClassCapsules(18, 4)(primary).shape == (3, 4, 16)
    sizes = [
        sum(p.numel() for p in CapsuleHash(16, channels=6, groups=4, types=2, capsules=c).parameters())
        for c in (True, False)
    ]
    assert sizes[0] == sizes[1]
    hashed = CapsuleHash(16, channels=6, groups=4, types=2)(maps, torch.tensor([0, 1, 3]))
    assert hashed.raw.shape == (3, 16) and hashed.made is not None and hashed.made.shape == (3, 28 * 28)
    assert hashed.code.view(3, 4, 16).abs().sum(-1).gt(0).tolist() == [
        [True, False, False, False], [False, True, False, False], [False, False, False, True]
    ]  # fmt: skip


def test_a_primary_capsule_holds_the_channels_of_one_place() -> None:
    primary = PrimaryCapsules(1, 2, size=2, kernel=1)
    made = torch.arange(2 * 2 * 3.0).view(1, 4, 1, 3)  # channel c at place p is 3c + p
    assert primary.grouped(made)[0].tolist() == [[0, 3], [1, 4], [2, 5], [6, 9], [7, 10], [8, 11]]


def test_gradients_reach_every_weight() -> None:
    torch.manual_seed(0)
    network = CapsuleHash(16, channels=6, groups=4, types=2)
    hashed = network(torch.randn(4, 6, 5, 5), torch.tensor([0, 1, 2, 3]))
    assert hashed.lengths is not None and hashed.made is not None
    (hashed.raw.sum() + hashed.lengths.sum() + hashed.made.sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_the_mask_keeps_the_longest_capsule_or_the_one_that_is_named() -> None:
    capsules = torch.tensor([[[3.0, 4.0], [0.0, 6.0]]])
    assert masked(capsules).tolist() == [[[0, 0], [0, 6]]]
    assert masked(capsules, torch.tensor([0])).tolist() == [[[3, 4], [0, 0]]]


def test_margin_loss_by_hand() -> None:
    lengths = torch.tensor([[0.5, 0.3], [0.95, 0.05]])
    # First: (0.9 - 0.5)^2 + 0.5 (0.3 - 0.1)^2 = 0.16 + 0.02. Second: nothing is wrong.
    assert float(margin_loss(lengths, torch.tensor([0, 0]))) == pytest.approx(0.18 / 2)
    assert float(margin_loss(lengths, torch.tensor([0, 0]), torch.tensor([2.0, 0.0]))) == pytest.approx(0.18)
