"""The encoder of Hu et al. section 3.5: backbone, ECA, coordinate attention, AWFF and LAFF, each with a switch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from search.training.attention import ECA, CoordinateAttention
from search.training.backbones import BACKBONES, Backbone
from search.training.feature_fusion import FeatureFusion

DIM = 512
"""Length of z, and the hidden size of LAFF in the paper."""


class PaperEncoder(nn.Module):
    """Pixels (n, 3 or 1, h, w), 0..255 of any dtype -> z (n, 512), the vector that is searched with (after whitening).

    Readings: each stage feeds the next through its ECA; the fusion takes the four ECA outputs and, as a fifth map, the
    output of coordinate attention. With awff and laff off, z is the mean of the last map through a linear layer.
    """

    def __init__(
        self,
        backbone: str | Backbone = "resnet50",
        *,
        eca: bool = True,
        ca: bool = True,
        awff: bool = True,
        laff: bool = True,
        channels: tuple[int, int, int] = (256, 512, 1024),
        dim: int = DIM,
        weights: Path | None = None,
    ) -> None:
        """`channels` are AWFF's; `weights` is a file for the backbone (see `backbones`). Raises WeightsUnusable."""
        super().__init__()
        self.dim = dim
        self.backbone = BACKBONES[backbone](weights) if isinstance(backbone, str) else backbone
        stages = self.backbone.channels
        self.eca = nn.ModuleList([ECA(c) for c in stages]) if eca else None
        self.ca = CoordinateAttention(stages[-1]) if ca else None
        inputs = (*stages, stages[-1]) if ca else stages
        self.fusion = FeatureFusion(inputs, awff=awff, laff=laff, channels=channels, dim=dim)

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """The four maps after ECA and, where it is on, that of coordinate attention."""
        x = self.backbone.prepare(pixels)
        found = []
        for number in range(4):
            x = self.backbone.stage(number, x)
            if self.eca is not None:
                x = self.eca[number](x)
            found.append(x)
        if self.ca is not None:
            found.append(self.ca(x))
        return found

    def forward(self, pixels: Tensor) -> Tensor:
        z: Tensor = self.fusion(self.maps(pixels))
        return z


class ProjectedEncoder(nn.Module):
    """An encoder and the head that only training uses: z -> MLP 512-512-128 (MoCo v2's depth) -> unit length.

    The encoder is any module that gives (n, dim). Pixels -> float32 unit vectors (n, 128).
    """

    def __init__(self, encoder: nn.Module, *, dim: int = DIM, outputs: int = 128) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(inplace=True), nn.Linear(dim, outputs))
        self.outputs = outputs

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.nn.functional.normalize(self.head(self.encoder(pixels)).float(), dim=1)
