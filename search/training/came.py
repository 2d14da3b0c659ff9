"""CAME: confidence-guided adaptive memory efficient optimisation (Luo et al., ACL 2023), algorithm 2.

Like Adafactor it keeps the second moment of a matrix as a row and a column, and like Adam a first moment m.
New is the confidence: where the update u strays far from m, the step along m is made shorter:

    v = b2 v + (1 - b2) (g^2 + e1)        as row means r and column means c: v_ij = r_i c_j / mean(r)
    u = g / sqrt(v);  u = u / max(1, rms(u) / clip)
    m = b1 m + (1 - b1) u
    s = b3 s + (1 - b3) ((u - m)^2 + e2)  kept as row and column like v
    w = w - lr m / sqrt(s)

Readings where the paper is silent, as in its authors' code: vectors keep v whole and have no confidence (w = w - lr m);
weight decay is decoupled; nothing corrects the bias of the zero start, so that the first steps of a matrix are about
(1 - b1) / (b1 sqrt(1 - b3)) = 11 times lr: start with a warm-up. Ours: a convolution (o, i, h, w) is the matrix
(o, i*h*w), where their code factors each little kernel (h, w) and saves almost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer


class CAME(Optimizer):
    """The optimizer for parameters of any shape; lr is in the units of the weights per step."""

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 2.5e-4,
        *,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        eps: tuple[float, float] = (1e-30, 1e-16),
        clip: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0 or clip <= 0 or weight_decay < 0:
            raise ValueError("lr and weight_decay must not be negative, clip must be positive")
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError("every beta must lie in [0, 1)")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "clip": clip, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        assert parameter.grad is not None  # noqa: S101  for the type checker
        gradient = parameter.grad.float()
        matrix = gradient.dim() > 1
        if matrix:
            gradient = gradient.flatten(1)
        state = self.state[parameter]
        if not state:
            _start(state, gradient, factored=matrix)
        beta1, beta2, beta3 = group["betas"]
        eps1, eps2 = group["eps"]

        square = gradient.square().add_(eps1)
        update = gradient * _inverse_root(state, "second", square, beta2)
        update.div_((_rms(update) / group["clip"]).clamp_(min=1.0))
        mean = state["mean"].lerp_(update, 1 - beta1)
        if matrix:
            instability = (update - mean).square_().add_(eps2)
            mean = mean * _inverse_root(state, "residual", instability, beta3)

        if group["weight_decay"]:
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(mean.view_as(parameter).to(parameter.dtype), alpha=-group["lr"])


def _start(state: dict[str, Any], gradient: Tensor, *, factored: bool) -> None:
    state["mean"] = torch.zeros_like(gradient)
    if not factored:
        state["second"] = torch.zeros_like(gradient)
        return
    rows, columns = gradient.shape
    for name in ("second", "residual"):
        state[f"{name}_row"] = gradient.new_zeros(rows)
        state[f"{name}_column"] = gradient.new_zeros(columns)


def _inverse_root(state: dict[str, Any], name: str, square: Tensor, beta: float) -> Tensor:
    """Take `square` into the running mean called `name`; 1 / sqrt of that mean, in the shape of `square`."""
    if name in state:
        whole: Tensor = state[name].lerp_(square, 1 - beta)
        return whole.rsqrt()
    row: Tensor = state[f"{name}_row"].lerp_(square.mean(1), 1 - beta)
    column: Tensor = state[f"{name}_column"].lerp_(square.mean(0), 1 - beta)
    # Root by root: the product r c may underflow where each of them does not.
    return (row / row.mean()).rsqrt_().unsqueeze(1) * column.rsqrt().unsqueeze(0)


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()
