"""Supervised contrastive loss, memory and near-duplicates, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from search.training.supcon import Memory, near_duplicates, supervised_contrastive

AXES = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.0]])


def test_one_pair_among_strangers_by_hand() -> None:
    families = torch.tensor([1, 1, 2, 3])
    found = float(supervised_contrastive(AXES, families, temperature=0.5))
    first = -math.log(math.exp(1.2) / (math.exp(1.2) + math.exp(0.0) + math.exp(-2.0)))
    second = -math.log(math.exp(1.2) / (math.exp(1.2) + math.exp(1.6) + math.exp(-1.2)))
    assert found == pytest.approx((first + second) / 2, rel=1e-5)


def test_other_relatives_are_not_strangers_and_an_anchor_counts_once() -> None:
    families = torch.tensor([1, 1, 1, 2])
    found = float(supervised_contrastive(AXES, families, temperature=1.0))

    def pair(pull: float, stranger: float) -> float:
        return -math.log(math.exp(pull) / (math.exp(pull) + math.exp(stranger)))

    anchors = [
        (pair(0.6, -1.0) + pair(0.0, -1.0)) / 2,
        (pair(0.6, -0.6) + pair(0.8, -0.6)) / 2,
        (pair(0.0, 0.0) + pair(0.8, 0.0)) / 2,
    ]
    assert found == pytest.approx(sum(anchors) / 3, rel=1e-5)


def test_an_ignored_pair_does_not_push() -> None:
    families = torch.tensor([1, 1, 2, 3])
    ignored = torch.zeros(4, 4, dtype=torch.bool)
    ignored[1, 2] = ignored[2, 1] = True
    with_care = supervised_contrastive(AXES, families, temperature=0.5, ignored=ignored)
    assert float(with_care) < float(supervised_contrastive(AXES, families, temperature=0.5))


def test_families_of_one_subject_do_not_push_each_other() -> None:
    families, subjects = torch.tensor([1, 1, 2, 3]), torch.tensor([7, 7, 7, -1])
    plain = float(supervised_contrastive(AXES, families, temperature=0.5))
    unknown = float(supervised_contrastive(AXES, families, temperature=0.5, subjects=torch.full((4,), -1)))
    assert unknown == pytest.approx(plain), "what nobody knows is no subject"
    assert float(supervised_contrastive(AXES, families, temperature=0.5, subjects=subjects)) < plain
    memory = Memory(8, 2)
    memory.add(AXES[:1], torch.tensor([9]), torch.tensor([7]))
    alone = supervised_contrastive(AXES, families, temperature=0.5, subjects=subjects)
    assert float(
        supervised_contrastive(AXES, families, temperature=0.5, subjects=subjects, memory=memory)
    ) == pytest.approx(float(alone))


def test_a_memory_adds_strangers_but_not_of_the_own_family() -> None:
    families = torch.tensor([1, 1, 2, 3])
    plain = float(supervised_contrastive(AXES, families, temperature=0.5))
    own, other = Memory(8, 2), Memory(8, 2)
    own.add(AXES[:1], torch.tensor([1]))
    other.add(AXES[:1], torch.tensor([9]))
    assert float(supervised_contrastive(AXES, families, temperature=0.5, memory=own)) == pytest.approx(plain)
    assert float(supervised_contrastive(AXES, families, temperature=0.5, memory=other)) > plain + 0.1


def test_the_memory_keeps_the_newest() -> None:
    memory = Memory(3, 2)
    memory.add(AXES, torch.tensor([1, 2, 3, 4]))
    assert memory.families.tolist() == [2, 3, 4]
    memory.add(AXES[:1], torch.tensor([5]))
    assert memory.families.tolist() == [3, 4, 5]


def test_a_batch_without_relatives_is_refused() -> None:
    with pytest.raises(ValueError, match="two marks of one family"):
        supervised_contrastive(AXES, torch.arange(4), temperature=0.5)


def test_near_duplicates_are_found_whatever_their_grey() -> None:
    picture = torch.full((32, 32), 255, dtype=torch.uint8)
    picture[8:20, 8:24] = 0
    paler = 255 - (255 - picture) // 2
    other = torch.full((32, 32), 255, dtype=torch.uint8)
    other[20:30, 2:10] = 0
    found = near_duplicates(torch.stack([picture, paler, other]))
    assert found.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
