import math

import pytest
import torch

from search.training.attention import ECA, CoordinateAttention, eca_kernel


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(("channels", "kernel"), [(256, 5), (512, 5), (1024, 5), (2048, 7), (24, 3), (1280, 5)])
def test_kernel_follows_the_channels(channels: int, kernel: int) -> None:
    assert eca_kernel(channels) == kernel


@pytest.mark.parametrize("module", [ECA(24), CoordinateAttention(24)])
def test_shape_is_kept(module: torch.nn.Module) -> None:
    x = torch.randn(2, 24, 5, 7)
    assert module(x).shape == x.shape


@torch.no_grad()
def test_eca_by_hand() -> None:
    eca = ECA(8)  # kernel 3
    assert eca.conv.kernel_size == (3,)
    eca.conv.weight.copy_(torch.tensor([[[1.0, 2.0, -1.0]]]))
    x = torch.zeros(1, 8, 1, 2)
    x[0, 2] = torch.tensor([1.0, 3.0])  # mean 2
    x[0, 3] = torch.tensor([1.0, 1.0])  # mean 1
    y = eca(x)
    # Channel 2 sees 1*0 + 2*2 - 1*1 = 3, channel 3 sees 1*2 + 2*1 - 1*0 = 4.
    torch.testing.assert_close(y[0, 2, 0], torch.tensor([1.0, 3.0]) * sigmoid(3))
    torch.testing.assert_close(y[0, 3, 0], torch.tensor([1.0, 1.0]) * sigmoid(4))
    assert y[0, [0, 1, 4, 5, 6, 7]].abs().sum() == 0


@torch.no_grad()
def test_coordinate_attention_by_hand() -> None:
    module = CoordinateAttention(2).eval()  # 8 hidden channels; batch norm in its first state divides by sqrt(1 + 1e-5)
    for conv in (module.shared, module.to_rows, module.to_columns):
        conv.weight.zero_()
        conv.bias.zero_()
    module.shared.weight[0, 0] = 1.0  # hidden 0 is the mean of channel 0
    module.to_rows.weight[1, 0] = 1.0  # and gates the rows of channel 1
    module.to_columns.weight[0, 0] = -1.0  # and, reversed, the columns of channel 0
    x = torch.tensor([[[[1.0, 2.0], [3.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]]])

    def swish(v: float) -> float:
        return v * min(max(v + 3, 0), 6) / 6

    rows, columns = [swish(1.5), swish(1.5)], [swish(2.0), swish(1.0)]
    expected = x.clone()
    for i in range(2):
        for j in range(2):
            expected[0, 0, i, j] *= sigmoid(0) * sigmoid(-columns[j])
            expected[0, 1, i, j] *= sigmoid(rows[i]) * sigmoid(0)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_rows_and_columns_are_not_mixed_up() -> None:
    torch.manual_seed(0)
    module = CoordinateAttention(4).eval()
    module.to_columns.load_state_dict(module.to_rows.state_dict())
    x = torch.randn(1, 4, 3, 5)
    torch.testing.assert_close(module(x.transpose(2, 3)), module(x).transpose(2, 3))
