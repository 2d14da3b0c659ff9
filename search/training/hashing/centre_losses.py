"""The losses of thesis 000 around hash centres, and their fusion with learned scales.

Throughout: raw (n, K) what the network gives, u = tanh(raw); centres (n, K) of -1 and 1, each mark's own.
Centres and quantisation: Yuan et al., "Central similarity quantization" (CVPR 2020), as in its public code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

__all__ = [
    "LearnedScales",
    "centre_loss",
    "class_balanced",
    "decorrelation",
    "quantisation",
    "reconstruction",
    "sparsity",
]

BETA = 0.999
QUANTISATION = 1e-4
RECONSTRUCTION = 5e-4


def class_balanced(labels: Tensor, beta: float = BETA) -> Tensor:
    """Weights (n,) of marks, w_y = (1 - b) / (1 - b^{n_y}), scaled to mean 1 over the marks.

    Cui et al., "Class-balanced loss based on effective number of samples" (CVPR 2019). labels: (n,) whole numbers of
    all training marks. For families far smaller than 1/(1 - b) this is 1/n_y: every family has the same say.
    """
    _, inverse, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    weights: Tensor = ((1 - beta) / (1 - beta ** counts.double()))[inverse]
    return (weights / weights.mean()).float()


def centre_loss(raw: Tensor, centres: Tensor, weights: Tensor | None = None) -> Tensor:
    """BCE(0.5 (u + 1), 0.5 (c + 1)), mean over bits and marks.

    0.5 (tanh(x) + 1) = sigmoid(2x), so it is computed from the logit 2x, which cannot overflow.
    """
    each = nn.functional.binary_cross_entropy_with_logits(2 * raw, 0.5 * (centres + 1), reduction="none").mean(dim=1)
    return (each if weights is None else each * weights).mean()


def quantisation(u: Tensor) -> Tensor:
    """mean (|u| - 1)^2."""
    return (u.abs() - 1).square().mean()


def sparsity(code: Tensor) -> Tensor:
    """mean over marks of |z|_1, z (n, d) the code before the hash layer; per number, so that widths compare."""
    return code.abs().mean()


def decorrelation(u: Tensor) -> Tensor:
    """|| U'U / n - I ||_F^2 / K^2: bits that say the same are a waste."""
    gram = u.T @ u / len(u)
    return (gram - torch.eye(u.shape[1], device=u.device)).square().sum() / u.shape[1] ** 2


def reconstruction(made: Tensor, thumbs: Tensor) -> Tensor:
    """Mean squared error of pictures (n, p) in 0..1."""
    return (made - thumbs).square().mean()


class LearnedScales(nn.Module):
    """sum_i e^{-a_i} L_i + a_i with learned a_i: the fused loss that balances itself (Kendall et al., CVPR 2018).

    At rest e^{-a_i} = 1 / L_i, so each part pulls by its relative change. a_i is kept above -6 (a part's weight below
    400): a part that can reach zero would otherwise pull without end. A part that is already scaled by the paper
    (quantisation 1e-4, reconstruction 5e-4) starts with that weight: a_i = -log(weight).
    """

    LEAST = -6.0

    def __init__(self, parts: Mapping[str, float] | Sequence[str]) -> None:
        """parts: names, or name -> first weight."""
        super().__init__()
        first = parts if isinstance(parts, Mapping) else dict.fromkeys(parts, 1.0)
        self.names = tuple(first)
        self.scales = nn.Parameter(-torch.tensor([first[name] for name in self.names]).log())

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        scales = self.scales.clamp(min=self.LEAST)
        terms = [torch.exp(-a) * losses[name] + a for name, a in zip(self.names, scales, strict=True)]
        return torch.stack(terms).sum()
