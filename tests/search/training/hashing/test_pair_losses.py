"""The patent's loss against values computed by hand, and which way it pulls."""

import math

import pytest
import torch

from search.training.hashing.pair_losses import consistency, pair_loss, percentages, softsign


def test_percentages_are_cosines_of_label_vectors() -> None:
    s = percentages(torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]))
    assert s[0].tolist() == pytest.approx([1, 1, 0.5, 0, 0])
    assert float(s[4].sum()) == 0


def test_each_part_by_hand() -> None:
    u = torch.tensor([[0.5, 0.5], [0.5, -1.0], [1.0, 1.0]])
    s = torch.tensor([[1.0, 1.0, 0.3], [1.0, 1.0, 0.0], [0.3, 0.0, 1.0]])
    found = pair_loss(u, s)
    # W = 0.5 <u, u'>: (0,1) -0.125 strong s=1; (1,2) -0.25 strong s=0; (0,2) 0.5 weak s=0.3. Six ordered pairs.
    strong = 2 * (math.log1p(math.exp(-0.125)) + 0.125 + math.log1p(math.exp(-0.25))) / 6
    weak = 2 * 0.1 * (0.5 + 2 - 2 * 0.3 * 2) ** 2 / 6
    quantised = 0.1 * (0.5 + 0.5 + 0.5 + 0 + 0 + 0) / 6
    assert float(found.strong) == pytest.approx(strong, rel=1e-5)
    assert float(found.weak) == pytest.approx(weak, rel=1e-5)
    assert float(found.quantisation) == pytest.approx(quantised, rel=1e-5)
    assert float(found.consistency) == 0
    assert float(found.loss) == pytest.approx(strong + weak + quantised, rel=1e-5)
    # a = 1 in the weak branch: W' = 1 instead of 0.5.
    wide = pair_loss(u, s, weak_alpha=1.0)
    assert float(wide.weak) == pytest.approx(2 * 0.1 * (1 + 2 - 1.2) ** 2 / 6, rel=1e-5)
    assert float(wide.strong) == pytest.approx(strong, rel=1e-5)
    # Four of six pairs are strong, two of each kind: counted evenly they say the same.
    even = pair_loss(u, s, even=True)
    assert float(even.strong) == pytest.approx(strong, rel=1e-5) and float(even.weak) == pytest.approx(weak, rel=1e-5)


def test_evenly_counted_relatives_weigh_as_much_as_all_strangers() -> None:
    u = torch.zeros(4, 8)  # every pair costs log 2 at s = 0, and log 2 at s = 1
    u[0] = u[1] = 0.5  # the one pair of relatives: W = 1
    s = torch.eye(4)
    s[0, 1] = s[1, 0] = 1
    relatives, strangers = math.log1p(math.exp(1)) - 1, math.log(2)
    assert float(pair_loss(u, s).strong) == pytest.approx((relatives + 5 * strangers) / 6, rel=1e-5)
    assert float(pair_loss(u, s, even=True).strong) == pytest.approx((relatives + strangers) / 2, rel=1e-5)


def test_with_the_codes_scale_a_weak_target_beyond_a_half_cannot_be_met() -> None:
    u = torch.ones(2, 8)
    near = torch.tensor([[1.0, 0.9], [0.9, 1.0]])
    # The nearest codes there are still cost something at a = 0.5; at a = 1 codes exist that cost nothing.
    assert float(pair_loss(u, near, quantisation=0).weak) > 0.1 * (0.3 * 8 - 1e-4) ** 2
    met = torch.ones(2, 8)
    met[1] = 0.8  # <u, u'> = 6.4 = q (2 s - 1)
    assert float(pair_loss(met, near, weak_alpha=1.0, quantisation=0).weak) == pytest.approx(0, abs=1e-6)


def test_consistency_by_hand() -> None:
    u = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    features = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    expected = (1 / math.sqrt(2) - 0) ** 2
    assert float(consistency(u, features)) == pytest.approx(expected, rel=1e-5)
    found = pair_loss(u, torch.eye(2), features=features, consistent=0.1)
    assert float(found.consistency) == pytest.approx(0.1 * expected, rel=1e-5)


@pytest.mark.parametrize(("share", "inner"), [(1.0, "rises"), (0.0, "falls"), (0.75, "rises")])
def test_a_step_against_the_gradient_brings_relatives_together_and_parts_strangers(share: float, inner: str) -> None:
    generator = torch.Generator().manual_seed(3)
    raw = torch.randn(2, 16, generator=generator, requires_grad=True)
    s = torch.tensor([[1.0, share], [share, 1.0]])
    before = softsign(raw)
    pair_loss(before, s, quantisation=0.0).loss.backward()
    assert raw.grad is not None
    after = softsign(raw - 0.05 * raw.grad)
    after = after.detach()
    change = float((after[0] * after[1]).sum() - (before[0] * before[1]).sum().detach())
    assert change > 0 if inner == "rises" else change < 0


def test_gradients_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(4, 6, dtype=torch.float64, generator=generator, requires_grad=True)
    s = torch.tensor([[1, 1, 0.5, 0], [1, 1, 0.5, 0], [0.5, 0.5, 1, 0.2], [0, 0, 0.2, 1]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: pair_loss(softsign(x), s).loss, raw)
