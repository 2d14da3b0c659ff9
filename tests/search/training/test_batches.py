"""Batches: pairs of relatives, marks alone paired with themselves, neighbours together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from search.training.batches import Bank, PairSampler
from search.training.dataset import TrainingMarks


def test_pairs_are_two_marks_of_one_family_and_families_differ(marks: TrainingMarks) -> None:
    pairs = PairSampler(marks, {"family": 1, "brand": 1}, pairs=6, hard=0).draw(np.random.default_rng(0))
    assert pairs.rows.shape == pairs.families.shape == (12,)
    assert (marks.families[pairs.rows] == pairs.families).all()
    assert (pairs.rows[::2] != pairs.rows[1::2]).all()
    assert len(set(pairs.families.tolist())) == 6


def test_a_mark_alone_is_paired_with_itself(marks: TrainingMarks) -> None:
    pairs = PairSampler(marks, {"alone": 1}, pairs=3, hard=0).draw(np.random.default_rng(0))
    assert (pairs.rows[::2] == pairs.rows[1::2]).all()
    assert len(set(pairs.families.tolist())) == 3
    assert pairs.families.min() > marks.families.max()


def test_kinds_come_in_their_shares(marks: TrainingMarks) -> None:
    sampler = PairSampler(marks, {"family": 3, "brand": 1}, pairs=1, hard=0)
    rng = np.random.default_rng(0)
    kinds = [marks.kinds[sampler.draw(rng).rows[0]] for _ in range(400)]
    assert np.mean(np.array(kinds) == 0) == pytest.approx(0.75, abs=0.07)


def test_hard_batches_hold_the_neighbours_of_a_family(marks: TrainingMarks) -> None:
    bank = Bank()
    angles = np.linspace(0, np.pi, 8)
    bank.update(torch.arange(8), torch.tensor(np.stack([np.cos(angles), np.sin(angles)], axis=1)))
    sampler = PairSampler(marks, {"family": 1, "brand": 1}, pairs=2, hard=1.0)
    for seed in range(5):
        first, second = sorted(set(sampler.draw(np.random.default_rng(seed), bank).families.tolist()))
        assert second - first == 1


def test_no_family_of_the_kinds_asked_for_is_refused(marks: TrainingMarks) -> None:
    with pytest.raises(ValueError, match="none of the kinds"):
        PairSampler(marks, {"variant": 1}, pairs=2, hard=0)


def test_the_bank_comes_back_from_its_state() -> None:
    bank, again = Bank(), Bank()
    bank.update(torch.tensor([4, 9]), torch.eye(2))
    bank.update(torch.tensor([4]), torch.tensor([[0.0, 1.0]]))
    again.load_state_dict(bank.state_dict())
    numbers, centres = again.centres()
    assert numbers.tolist() == [4, 9]
    assert centres[0].tolist() == pytest.approx([0.7071, 0.7071], abs=1e-3)
