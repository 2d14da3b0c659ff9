import math

import pytest
import torch
from torch import nn

from search.training.feature_fusion import AWFF, LAFF, FeatureFusion, adjacent_groups


@torch.no_grad()
def test_awff_by_hand() -> None:
    awff = AWFF([1, 2], 1).eval()
    for norm in awff.norms:
        norm.eps = 0.0
    awff.convs[0].weight.fill_(2.0)
    awff.convs[1].weight.copy_(torch.tensor([1.0, -1.0]).view(1, 2, 1, 1))
    awff.p.copy_(torch.tensor([0.0, math.log(3.0)]))  # softmax 1/4, 3/4
    fine = torch.tensor([[[[1.0, -1.0], [0.5, 0.0]]]])
    coarse = torch.tensor([[[[5.0]], [[1.0]]]])  # 5 - 1 = 4 everywhere after upsampling
    expected = torch.tensor([[[[0.25 * 2 + 3, 3.0], [0.25 * 1 + 3, 3.0]]]])
    torch.testing.assert_close(awff([fine, coarse]), expected)


@torch.no_grad()
def test_awff_equals_upsampling_before_the_convolution() -> None:
    torch.manual_seed(0)
    awff = AWFF([3, 4, 5], 6).train()
    maps = [torch.randn(2, 3, 8, 8), torch.randn(2, 4, 4, 4), torch.randn(2, 5, 2, 2)]
    upsampled = [nn.functional.interpolate(m, size=(8, 8), mode="bilinear", align_corners=False) for m in maps]
    torch.testing.assert_close(awff(maps), awff(upsampled), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_laff_by_hand() -> None:
    laff = LAFF([1, 2], dim=1)
    laff.transforms[0].weight.fill_(1.0)
    laff.transforms[0].bias.fill_(0.5)
    laff.transforms[1].weight.copy_(torch.tensor([[2.0, -1.0]]))
    laff.transforms[1].bias.zero_()
    laff.attention.weight.fill_(3.0)
    laff.attention.bias.fill_(7.0)  # the same for all: no effect
    g = [math.tanh(0.3 + 0.5), math.tanh(2 * 0.2 - 0.6)]
    e = [math.exp(3 * x) for x in g]
    expected = sum(x * y for x, y in zip(g, e, strict=True)) / sum(e)
    z = laff([torch.tensor([[0.3]]), torch.tensor([[0.2, 0.6]])])
    torch.testing.assert_close(z, torch.tensor([[expected]]))


def test_groups_of_adjacent_maps() -> None:
    assert adjacent_groups(5) == ((0, 1, 2), (1, 2, 3), (2, 3, 4))
    assert adjacent_groups(4) == ((0, 1, 2), (1, 2, 3), (2, 3))


@pytest.mark.parametrize("awff", [True, False])
@pytest.mark.parametrize("laff", [True, False])
@pytest.mark.parametrize("count", [4, 5])
def test_every_switch_gives_a_vector_and_uses_every_parameter(awff: bool, laff: bool, count: int) -> None:
    channels = [4, 5, 6, 7, 7][:count]
    fusion = FeatureFusion(channels, awff=awff, laff=laff, channels=(3, 4, 5), dim=9)
    sides = [16, 8, 4, 2, 2]
    maps = [torch.randn(2, c, s, s) for c, s in zip(channels, sides, strict=False)]
    z = fusion(maps)
    assert z.shape == (2, 9)
    z.sum().backward()
    assert all(p.grad is not None for p in fusion.parameters())


def test_three_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="four stages"):
        FeatureFusion([1, 2, 3])
