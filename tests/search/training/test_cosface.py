import math

import pytest
import torch

from search.training.cosface import CosFace


@torch.no_grad()
def test_loss_by_hand() -> None:
    head = CosFace(2, 2, s=2.0, m=0.5)
    head.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 5.0]]))
    z = torch.tensor([[0.6, 0.8], [2.0, 0.0]])  # cosines (0.6, 0.8) and (1, 0)
    first = -math.log(math.exp(0.2) / (math.exp(0.2) + math.exp(1.6)))  # label 0: 2 (0.6 - 0.5), 2 * 0.8
    second = -math.log(math.exp(-1.0) / (math.exp(-1.0) + math.exp(2.0)))  # label 1: 2 (0 - 0.5), 2 * 1
    assert head(z, torch.tensor([0, 1])).item() == pytest.approx((first + second) / 2, rel=1e-5)


def test_margin_makes_it_harder_and_training_lowers_it() -> None:
    torch.manual_seed(0)
    z, labels = torch.randn(12, 8), torch.arange(12) % 3
    head, plain = CosFace(8, 3), CosFace(8, 3, m=0.0)
    plain.load_state_dict(head.state_dict())
    first = head(z, labels)
    assert first > plain(z, labels)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.01)
    for _ in range(20):
        optimizer.zero_grad()
        head(z, labels).backward()
        optimizer.step()
    assert head(z, labels) < first
