"""The two attention modules of Hu et al. section 3.5."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def eca_kernel(channels: int) -> int:
    """Width of ECA's convolution: log2(C)/2 + 1/2, cut to an integer and made odd (5, 5, 5, 7 for 256 .. 2048)."""
    width = int(abs(math.log2(channels) / 2 + 0.5))
    return width if width % 2 else width + 1


class ECA(nn.Module):
    """Efficient channel attention (Wang et al., CVPR 2020): y = x * sigmoid(conv1d_k(GAP(x))).

    Maps (n, c, h, w) -> the same shape. The convolution runs along the channels, without bias.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = eca_kernel(channels)
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3)).unsqueeze(1)
        gate: Tensor = torch.sigmoid(self.conv(means)).squeeze(1)
        return x * gate[:, :, None, None]


class CoordinateAttention(nn.Module):
    """Coordinate attention (Hou et al., CVPR 2021): a gate per channel and row times one per channel and column.

    Maps (n, c, h, w) -> the same shape. Hu et al.'s Eq 8-10 are a simplification; this is the full form: the means
    along the width and along the height share one 1x1 convolution to max(8, c/32) channels, batch norm and
    h-swish, and part again into two 1x1 convolutions with a sigmoid.
    """

    def __init__(self, channels: int, *, reduction: int = 32) -> None:
        super().__init__()
        narrow = max(8, channels // reduction)
        self.shared = nn.Conv2d(channels, narrow, 1)
        self.norm = nn.BatchNorm2d(narrow)
        self.swish = nn.Hardswish()
        self.to_rows = nn.Conv2d(narrow, channels, 1)
        self.to_columns = nn.Conv2d(narrow, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        rows = x.mean(3, keepdim=True)  # (n, c, h, 1)
        columns = x.mean(2, keepdim=True).transpose(2, 3)  # (n, c, w, 1)
        both = self.swish(self.norm(self.shared(torch.cat([rows, columns], dim=2))))
        rows, columns = both.split([height, width], dim=2)
        gated: Tensor = x * torch.sigmoid(self.to_rows(rows)) * torch.sigmoid(self.to_columns(columns.transpose(2, 3)))
        return gated
