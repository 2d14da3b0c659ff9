"""Multi-stage feature fusion of Hu et al. section 3.5: AWFF (Eq 11) on maps, LAFF on vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


class AWFF(nn.Module):
    """Adaptively weighted feature fusion: O = sum_i softmax(p)_i * ReLU(BN(conv1x1(up(f_i)))).

    Maps of any sizes (n, c_i, h_i, w_i) -> (n, outputs, h, w) with h, w of the largest. p are learned scalars, equal
    at first. Readings: the paper's "1D convolution" is 1x1, upsampling is bilinear. The convolution runs before the
    upsampling: both are linear, so the result is the same for a fraction of the work.
    """

    def __init__(self, inputs: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(channels, outputs, 1, bias=False) for channels in inputs])
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs) for _ in inputs])
        self.p = nn.Parameter(torch.zeros(len(inputs)))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        height, width = max(m.shape[2] for m in maps), max(m.shape[3] for m in maps)
        weights = torch.softmax(self.p, 0)
        parts = []
        for conv, norm, weight, x in zip(self.convs, self.norms, weights, maps, strict=True):
            y = conv(x)
            if y.shape[2:] != (height, width):
                y = interpolate(y, size=(height, width), mode="bilinear", align_corners=False)
            parts.append(weight * torch.relu(norm(y)))
        return torch.stack(parts).sum(0)


class LAFF(nn.Module):
    """Lightweight attentional feature fusion (Hu et al., ECCV 2022): vectors of any dimensions to one of `dim`.

    g_i = tanh(W_i f_i + b_i), a = softmax_i(v . g_i + c), z = sum_i a_i g_i. Vectors (n, d_i) -> (n, dim).
    """

    def __init__(self, inputs: Sequence[int], dim: int = 512) -> None:
        super().__init__()
        self.transforms = nn.ModuleList([nn.Linear(size, dim) for size in inputs])
        self.attention = nn.Linear(dim, 1)

    def forward(self, vectors: Sequence[Tensor]) -> Tensor:
        g = torch.stack(
            [torch.tanh(transform(f)) for transform, f in zip(self.transforms, vectors, strict=True)], dim=1
        )
        weights = torch.softmax(self.attention(g), dim=1)  # (n, k, 1)
        return (weights * g).sum(1)


def adjacent_groups(count: int) -> tuple[tuple[int, ...], ...]:
    """Which maps each of the three AWFF blocks takes, of the four stages and, where it is on, coordinate attention.

    The paper speaks of groups of three adjacent stages and three channel numbers. Four maps have only two such groups;
    with the output of coordinate attention as a fifth there are three. Without it (count 4) the last group is a pair.
    """
    return ((0, 1, 2), (1, 2, 3), tuple(range(2, count)))


class FeatureFusion(nn.Module):
    """Maps of the stages, finest first, to one vector (n, dim); each of the two blocks can be off.

    awff and laff: three AWFF maps, averaged, into LAFF. awff alone: their means side by side into a linear layer.
    laff alone: the means of the maps themselves into LAFF. Neither: the mean of the last map into a linear layer.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        *,
        awff: bool = True,
        laff: bool = True,
        channels: tuple[int, int, int] = (256, 512, 1024),
        dim: int = 512,
    ) -> None:
        super().__init__()
        if len(inputs) not in {4, 5}:
            raise ValueError("feature fusion takes the maps of four stages, and of coordinate attention where it is on")
        self.groups = adjacent_groups(len(inputs)) if awff else ()
        self.awff = nn.ModuleList(
            [AWFF([inputs[i] for i in group], out) for group, out in zip(self.groups, channels, strict=False)]
        )
        sizes = channels if awff else tuple(inputs) if laff else tuple(inputs[-1:])
        self._kept = len(sizes)
        self.laff = LAFF(sizes, dim) if laff else None
        self.linear = None if laff else nn.Linear(sum(sizes), dim)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        if self.groups:
            maps = [block([maps[i] for i in group]) for block, group in zip(self.awff, self.groups, strict=True)]
        vectors = [m.mean((2, 3)) for m in maps[-self._kept :]]
        if self.laff is not None:
            fused: Tensor = self.laff(vectors)
            return fused
        assert self.linear is not None  # noqa: S101  for the type checker
        joined: Tensor = self.linear(torch.cat(vectors, dim=1))
        return joined
