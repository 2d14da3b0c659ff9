import math

import pytest
import torch
from torch import nn

from search.training.came import CAME


def test_first_step_of_a_vector_by_hand() -> None:
    # v = 0.001 g^2, u = g / sqrt(v) = 31.6 sign(g), clipped to rms 1: sign(g); m = 0.1 sign(g); no confidence.
    w = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    w.grad = torch.tensor([0.5, -0.01, 40.0])
    CAME([w], lr=0.1).step()
    torch.testing.assert_close(w.detach(), torch.tensor([0.99, -1.99, 2.99]))


def test_first_step_of_a_matrix_by_hand() -> None:
    # g^2 = [[1, 4], [9, 4]]: row means 2.5, 6.5, column means 5, 4, mean 4.5; the factor 0.001 and the clip only
    # scale u. u^2 ~ g^2 / (r c / mean) = [[.36, 1.8], [1.2461538, .6923077]], whose mean 1.0246154 the clip makes 1.
    # m = 0.1 u, (u - m)^2 = 0.81 u^2, s = 0.0001 * 0.81 * (row x column / mean of u^2); the step is
    # 0.1 u / sqrt(s) = u / (0.09 sqrt(factored u^2)).
    gradient = torch.tensor([[1.0, -2.0], [3.0, 2.0]])
    square = [[0.36, 1.8], [1.2461538, 0.6923077]]
    total = sum(map(sum, square))
    expected = torch.tensor(
        [
            [
                -math.copysign(1, gradient[i, j])
                * math.sqrt(square[i][j] / (sum(square[i]) * (square[0][j] + square[1][j]) / total))
                / 0.09
                for j in range(2)
            ]
            for i in range(2)
        ]
    )
    w = nn.Parameter(torch.zeros(2, 2))
    w.grad = gradient
    CAME([w], lr=1.0).step()
    torch.testing.assert_close(w.detach(), expected, rtol=1e-4, atol=1e-4)


def test_a_convolution_is_updated_like_its_matrix() -> None:
    torch.manual_seed(0)
    gradient = torch.randn(4, 3, 2, 2)
    conv, matrix = nn.Parameter(torch.zeros(4, 3, 2, 2)), nn.Parameter(torch.zeros(4, 12))
    conv.grad, matrix.grad = gradient, gradient.flatten(1)
    CAME([conv, matrix], lr=0.1).step()
    torch.testing.assert_close(conv.detach().flatten(1), matrix.detach())


def test_memory_of_a_matrix_is_one_mean_and_rows_and_columns() -> None:
    w = nn.Parameter(torch.zeros(30, 20))
    w.grad = torch.ones(30, 20)
    optimizer = CAME([w])
    optimizer.step()
    assert sum(t.numel() for t in optimizer.state[w].values()) == 600 + 2 * (30 + 20)


def test_weight_decay_shrinks_apart_from_the_gradient() -> None:
    w = nn.Parameter(torch.tensor([2.0]))
    w.grad = torch.tensor([1.0])
    CAME([w], lr=0.1, weight_decay=0.5).step()
    assert w.item() == pytest.approx(2.0 * 0.95 - 0.01)


def test_a_quadratic_is_minimised() -> None:
    torch.manual_seed(0)
    target, w, bias = torch.randn(5, 4), nn.Parameter(torch.zeros(5, 4)), nn.Parameter(torch.ones(3))
    optimizer = CAME([w, bias], lr=0.02)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 600)
        optimizer.zero_grad()
        ((w - target).square().sum() + bias.square().sum()).backward()
        optimizer.step()
    assert (w - target).abs().max() < 0.02 and bias.abs().max() < 0.02


def test_zero_gradients_move_nothing() -> None:
    w = nn.Parameter(torch.ones(3, 3))
    w.grad = torch.zeros(3, 3)
    CAME([w], lr=0.1).step()
    torch.testing.assert_close(w.detach(), torch.ones(3, 3))


def test_a_saved_state_goes_on_where_it_stopped() -> None:
    def gradient(step: int) -> torch.Tensor:
        return torch.randn(4, 4, generator=torch.Generator().manual_seed(step))

    straight = nn.Parameter(torch.ones(4, 4))
    optimizer = CAME([straight], lr=0.01)
    for step in range(6):
        straight.grad = gradient(step)
        optimizer.step()
        if step == 2:
            saved, weights = optimizer.state_dict(), straight.detach().clone()
            saved = torch.utils._pytree.tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, saved)
    resumed = nn.Parameter(weights)
    again = CAME([resumed], lr=0.5)
    again.load_state_dict(saved)
    for step in range(3, 6):
        resumed.grad = gradient(step)
        again.step()
    torch.testing.assert_close(resumed.detach(), straight.detach(), rtol=0, atol=0)


def test_senseless_settings_are_refused() -> None:
    w = nn.Parameter(torch.zeros(1))
    with pytest.raises(ValueError, match="beta"):
        CAME([w], betas=(0.9, 1.0, 0.9))
    with pytest.raises(ValueError, match="clip"):
        CAME([w], clip=0)
