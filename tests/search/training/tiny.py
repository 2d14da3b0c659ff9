"""A backbone small enough for tests."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from search.training.backbones import Backbone


class TinyBackbone(Backbone):
    channels = (4, 6, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        sizes = (3, *self.channels)
        self.convs = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(a, b, 3, 4 if i == 0 else 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
                for i, (a, b) in enumerate(pairwise(sizes))
            ]
        )

    def prepare(self, pixels: Tensor) -> Tensor:
        return (pixels.float() / 127.5 - 1).expand(-1, 3, -1, -1)

    def stage(self, number: int, x: Tensor) -> Tensor:
        y: Tensor = self.convs[number](x)
        return y


def noise(n: int, seed: int, side: int = 64) -> Tensor:
    """uint8 (n, 3, side, side)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, side, side), generator=generator, dtype=torch.uint8)
