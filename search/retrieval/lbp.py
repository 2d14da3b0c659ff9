"""Uniform local binary patterns of feature maps: LBP(8,1)^u2 as Lan et al. (ICIG 2017, Eq 5) use it.

Each interior pixel is compared with its eight neighbours: s(x) = 1 if x > 0 else 0 with x = neighbour - centre. The
comparison is strict. Most libraries take >=, which gives the flat zeros that a ReLU leaves the code 255 instead of 0.
The 58 uniform codes (at most two changes around the circle) have a bin each, all others share one: 59.
"""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 59
"""P (P - 1) + 3 with P = 8; the paper's printed P (P + 1) + 2 does not give its own 256 x 59."""

_CLOCKWISE = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
"""Row and column of each neighbour in the 3 x 3 window, from the top left corner; the first is the lowest bit."""


def _uniform_bins() -> Tensor:
    """(256,) code -> bin: the uniform codes in rising order, then all others together."""
    bins = torch.full((256,), BINS - 1, dtype=torch.int64)
    uniform = [code for code in range(256) if (code ^ (code >> 1 | (code & 1) << 7)).bit_count() <= 2]
    bins[uniform] = torch.arange(len(uniform))
    return bins


UNIFORM = _uniform_bins()


def scaled(maps: Tensor) -> Tensor:
    """Float maps (..., h, w) -> uint8, each from its least 0 to its greatest 255, rounded; a constant map is all 0."""
    low = maps.amin(dim=(-2, -1), keepdim=True)
    spread = maps.amax(dim=(-2, -1), keepdim=True) - low
    factor = torch.where(spread > 0, 255 / spread.clamp(min=torch.finfo(maps.dtype).tiny), 0)
    return ((maps - low) * factor).round_().clamp_(0, 255).to(torch.uint8)


def codes(maps: Tensor) -> Tensor:
    """Maps (..., h, w) of at least 3 x 3 -> the pattern of each interior pixel, uint8 (..., h - 2, w - 2)."""
    high, wide = maps.shape[-2] - 2, maps.shape[-1] - 2
    centre = maps[..., 1 : 1 + high, 1 : 1 + wide]
    found = torch.zeros_like(centre, dtype=torch.uint8)
    for bit, (row, column) in enumerate(_CLOCKWISE):
        above = maps[..., row : row + high, column : column + wide] > centre
        found |= above.to(torch.uint8) << bit
    return found


def histograms(maps: Tensor) -> Tensor:
    """Float maps (n, c, h, w) -> float32 (n, c, 59), each map's share of interior pixels in each bin: rows sum to 1."""
    n, channels = maps.shape[:2]
    owners = torch.arange(n * channels, device=maps.device).view(n, channels, 1, 1)
    return _shares(codes(scaled(maps)), owners, n * channels).view(n, channels, BINS)


def cell_histograms(maps: Tensor, side: int) -> Tensor:
    """Float maps (n, c, h, w) -> float32 (n, side^2, 59): the interior in side x side cells, over all maps together."""
    patterns = codes(scaled(maps))
    n, _, high, wide = patterns.shape
    row, column = (torch.arange(length, device=maps.device) * side // length for length in (high, wide))
    cells = row[:, None] * side + column
    owners = torch.arange(n, device=maps.device).view(n, 1, 1, 1) * side**2 + cells
    return _shares(patterns, owners, n * side**2).view(n, side**2, BINS)


def _shares(patterns: Tensor, owners: Tensor, count: int) -> Tensor:
    """Patterns, and whose histogram each counts in (0..count - 1, broadcast) -> float32 (count, 59), rows sum to 1."""
    places = patterns.to(torch.int64).add_(owners * 256)
    by_code = torch.bincount(places.flatten(), minlength=count * 256).view(count, 256).to(torch.float32)
    found = by_code.new_zeros(count, BINS).index_add_(1, UNIFORM.to(by_code.device), by_code)
    return found / found.sum(dim=1, keepdim=True)
