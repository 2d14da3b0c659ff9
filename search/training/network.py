"""The network that is trained: EfficientNet-Lite0, generalised-mean pooling, a linear layer to 256 numbers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from search.retrieval.encoders.efficientnet_lite import EfficientNetLite0
from search.retrieval.encoders.trademark import GeneralisedMean

FEATURES = 1280
_ROW_SIZE = 0.1


class TrademarkNetwork(nn.Module):
    """Pictures to unit vectors of `dim` numbers."""

    def __init__(self, dim: int = 256, p: float = 3.0) -> None:
        super().__init__()
        self.backbone = EfficientNetLite0()
        self.pool = GeneralisedMean(p)
        self.projection = nn.Linear(FEATURES, dim)

    def early(self, pixels: Tensor, blocks: int) -> Tensor:
        """Grey (n, s, s), 0..255 -> maps after the stem and the first `blocks` blocks."""
        x = ((pixels.float() - 127.0) / 128.0)[:, None].expand(-1, 3, -1, -1)
        maps: Tensor = self.backbone.stem(x.contiguous(memory_format=torch.channels_last))
        for block in list(self.backbone.blocks)[:blocks]:
            maps = block(maps)
        return maps

    def late(self, maps: Tensor, blocks: int) -> Tensor:
        """What `early` gave for the same `blocks` -> unit vectors (n, dim)."""
        for block in list(self.backbone.blocks)[blocks:]:
            maps = block(maps)
        return nn.functional.normalize(self.projection(self.pool(self.backbone.head(maps).float())), dim=1)

    def features(self, pixels: Tensor) -> Tensor:
        """Grey (n, s, s), 0..255 -> pooled features (n, 1280)."""
        maps = self.early(pixels, len(self.backbone.blocks))
        pooled: Tensor = self.pool(self.backbone.head(maps).float())
        return pooled

    def forward(self, pixels: Tensor) -> Tensor:
        """Grey (n, s, s), 0..255 -> unit vectors (n, dim)."""
        return self.late(self.early(pixels, 0), 0)

    def freeze(self, blocks: int) -> None:
        """Keep the stem and the first `blocks` blocks as they are: edges and corners are the same in marks as in
        photographs, and their large maps cost a third of a step."""
        for module in (self.backbone.stem, *list(self.backbone.blocks)[:blocks]):
            module.requires_grad_(False)


class _RowScale(nn.Module):
    """weight = scale x raw, with a fixed scale for each output channel.

    Batch norm is folded into the weights, so rows differ in size by orders of magnitude; Adam's steps have one
    size for all. With rows of equal size each channel moves by the same share in a step.
    """

    scale: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        size = weight.detach().flatten(1).pow(2).mean(dim=1).sqrt().clamp(min=1e-6) / _ROW_SIZE
        self.register_buffer("scale", size.view(-1, *[1] * (weight.dim() - 1)))

    def forward(self, raw: Tensor) -> Tensor:
        return raw * self.scale

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight / self.scale


def even_rows(network: nn.Module) -> None:
    """Train every convolution through rows of equal size (see _RowScale)."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d):
            parametrize.register_parametrization(module, "weight", _RowScale(module.weight))


@torch.no_grad()
def plain(network: TrademarkNetwork) -> TrademarkNetwork:
    """A copy for use: plain weights, no gradients, evaluation mode.

    Built anew: parametrised modules that were copied share a class, so taking the parametrisation off one would
    break the others.
    """
    found = TrademarkNetwork(network.projection.out_features, network.pool.p)
    sources = dict(network.named_modules())
    for name, module in found.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            source = sources[name]
            module.weight.copy_(source.weight)
            if module.bias is not None:
                module.bias.copy_(source.bias)
    return found.eval().requires_grad_(False)


@torch.no_grad()
def vectors_of(network: TrademarkNetwork, grey: NDArray[np.uint8], *, batch: int = 16) -> NDArray[np.float32]:
    """Unit vectors (n, dim) of grey pictures uint8 (n, s, s), in evaluation mode."""
    found = [network(torch.from_numpy(grey[at : at + batch].copy())).numpy() for at in range(0, len(grey), batch)]
    return np.concatenate(found) if found else np.zeros((0, network.projection.out_features), np.float32)


@torch.no_grad()
def whiten_projection(network: TrademarkNetwork, grey: NDArray[np.uint8], *, batch: int = 16) -> None:
    """Start the projection as PCA whitening of the features of these pictures: a random one would waste steps."""
    rows = [network.features(torch.from_numpy(grey[at : at + batch].copy())) for at in range(0, len(grey), batch)]
    x = torch.cat(rows).double()
    mean = x.mean(dim=0)
    variances, directions = torch.linalg.eigh((x - mean).T @ (x - mean) / (len(x) - 1))
    dim = network.projection.out_features
    # Full whitening blows the weakest directions up; half of it trains as fast and starts calmer.
    scale = (variances[-dim:].clamp(min=1e-9) / variances[-1]).pow(-0.25)
    matrix = (directions[:, -dim:] * scale).T
    network.projection.weight.copy_(matrix.float())
    network.projection.bias.copy_(-(matrix @ mean).float())
