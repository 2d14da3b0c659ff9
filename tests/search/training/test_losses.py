import math

import pytest
import torch
from torch.nn.functional import normalize

from search.training.losses import co2, hard_negatives, info_nce, koleo


def at(*degrees: float) -> torch.Tensor:
    """Unit vectors of the plane."""
    radians = torch.tensor(degrees) * math.pi / 180
    return torch.stack([radians.cos(), radians.sin()], dim=1)


def cosine(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def test_negatives_at_or_above_the_threshold_are_kept_else_the_hardest() -> None:
    cosines = torch.tensor([[0.5, 0.4, 0.39], [0.1, 0.3, -1.0]])
    assert hard_negatives(cosines).tolist() == [[True, True, False], [False, True, False]]
    assert hard_negatives(cosines, None).all()


def test_info_nce_by_hand() -> None:
    # First query at 0: negatives at 10, 60 and 90 degrees, of which the last falls below 0.4.
    # Second query at 180: none reaches 0.4; the hardest is the one at 90.
    q, k, negatives = at(0, 180), at(30, 180), at(10, 60, 90)
    result = info_nce(q, k, negatives, temperature=0.5)
    first_positive = math.exp(cosine(30) / 0.5)
    first = -math.log(first_positive / (first_positive + math.exp(cosine(10) / 0.5) + math.exp(0.5 / 0.5)))
    second = -math.log(math.exp(2) / (math.exp(2) + math.exp(0)))
    assert result.loss.item() == pytest.approx((first + second) / 2, rel=1e-5)
    assert result.kept.tolist() == [[True, True, False], [False, False, True]]
    assert result.kept_mean.item() == 1.5
    assert result.kept_near.item() == pytest.approx(1 / 3)  # of three kept, one above 0.9


def test_without_a_threshold_info_nce_is_the_plain_cross_entropy() -> None:
    torch.manual_seed(0)
    q, k, negatives = (normalize(torch.randn(n, 6)) for n in (5, 5, 20))
    logits = torch.cat([(q * k).sum(1, keepdim=True), q @ negatives.T], dim=1) / 0.2
    expected = torch.nn.functional.cross_entropy(logits, torch.zeros(5, dtype=torch.long))
    torch.testing.assert_close(info_nce(q, k, negatives, threshold=None).loss, expected)


def test_only_queries_get_gradients_of_info_nce_and_co2() -> None:
    q, k, negatives = (at(*d).requires_grad_() for d in ((0.0, 90.0), (5.0, 80.0), (20.0, 60.0, 300.0)))
    (info_nce(q, k, negatives).loss + co2(q, k, negatives)).backward()
    assert q.grad is not None and q.grad.abs().sum() > 0
    assert k.grad is None and negatives.grad is None


def test_a_negative_left_out_gives_no_gradient() -> None:
    q = at(0).requires_grad_()
    with_far = info_nce(q, at(10), at(20, 30, 120)).loss
    (gradient,) = torch.autograd.grad(with_far, q)
    q = at(0).requires_grad_()
    (without,) = torch.autograd.grad(info_nce(q, at(10), at(20, 30)).loss, q)
    torch.testing.assert_close(gradient, without)


def test_co2_by_hand() -> None:
    q, k, negatives = at(0), at(60), at(0, 90)
    a, b = cosine(0) / 0.5, cosine(90) / 0.5
    q0 = math.exp(a) / (math.exp(a) + math.exp(b))
    a, b = cosine(60) / 0.5, cosine(30) / 0.5
    p0 = math.exp(a) / (math.exp(a) + math.exp(b))
    p, r = (p0, 1 - p0), (q0, 1 - q0)
    kl_pq = sum(x * math.log(x / y) for x, y in zip(p, r, strict=True))
    kl_qp = sum(y * math.log(y / x) for x, y in zip(p, r, strict=True))
    assert co2(q, k, negatives, temperature=0.5).item() == pytest.approx(0.5 * (kl_pq + kl_qp), rel=1e-4)


def test_co2_looks_only_at_the_kept_unless_they_are_fewer_than_two() -> None:
    q, k, negatives = at(0), at(60), at(0, 90, 200)
    two = co2(q, k, negatives, kept=torch.tensor([[True, True, False]]))
    torch.testing.assert_close(two, co2(q, k, at(0, 90)))
    one = co2(q, k, negatives, kept=torch.tensor([[True, False, False]]))
    torch.testing.assert_close(one, co2(q, k, negatives))


def test_co2_is_zero_where_query_and_key_agree_and_its_gradient_is_finite() -> None:
    q = at(25).requires_grad_()
    loss = co2(q, at(25), at(0, 90, 200), kept=torch.tensor([[True, True, False]]))
    assert loss.item() == pytest.approx(0, abs=1e-6)
    loss.backward()
    assert q.grad is not None and q.grad.isfinite().all()


def test_koleo_by_hand() -> None:
    # Neighbours: 0 -> 60 (chord 1), 60 -> 0 (chord 1), 180 -> 60 (chord 2 sin 60).
    expected = -(math.log(1) + math.log(1) + math.log(2 * math.sin(math.radians(60)))) / 3
    assert koleo(3.0 * at(0, 60, 180)).item() == pytest.approx(expected, abs=1e-5)


def test_koleo_drives_neighbours_apart_and_survives_twins() -> None:
    q = at(0, 10).requires_grad_()
    (gradient,) = torch.autograd.grad(koleo(q), q)
    moved = normalize(q.detach() - 0.01 * gradient)
    assert (moved[0] @ moved[1]).item() < cosine(10)
    twins = at(0, 0).requires_grad_()
    koleo(twins).backward()
    assert twins.grad is not None and twins.grad.isfinite().all()
    with pytest.raises(ValueError, match="two"):
        koleo(at(0))


def test_autocast_leaves_the_losses_in_float32() -> None:
    torch.manual_seed(0)
    q, k, negatives = (normalize(torch.randn(n, 8)) for n in (4, 4, 16))
    plain = info_nce(q, k, negatives).loss, co2(q, k, negatives), koleo(q)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = info_nce(q, k, negatives).loss, co2(q, k, negatives), koleo(q)
    torch.testing.assert_close(cast, plain, rtol=0, atol=0)
