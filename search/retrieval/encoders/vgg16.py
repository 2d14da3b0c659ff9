"""VGG16 (Simonyan & Zisserman, ICLR 2015) behind the Encoder contract: a plug-in for `general`, as DarwinGSE had.

The weights are not shipped and no package that is installed carries them. Put a state dict as torchvision saves it
(`vgg16-397923af.pth`, or any file with the same names) on disk and give its path; without it the descriptor is off.
DarwinGSE says only "a variation of VGG16": the reading here is the last convolutional maps, pooled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # how torch says that a file holds more than tensors: refused, never run

import numpy as np
import torch
from torch import Tensor, nn

from search.retrieval.device import device_name
from search.retrieval.encoders import Images, WeightsUnusable
from search.retrieval.pooling import POOLINGS, Vectors

_CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)  # 0 halves the map
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # ImageNet's, in 0..255
_CPU_PIXELS, _GPU_PIXELS = 4 * 224 * 224, 64 * 224 * 224
MISSING = "VGG16 is off: its weights are not on disk. Put torchvision's vgg16-397923af.pth at {path} to turn it on."


class VGG16(nn.Module):
    """The convolutions up to conv5_3 and its ReLU: scaled pixels (n, 3, h, w) -> maps (n, 512, h/16, w/16)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs in _CHANNELS:
            if outputs == 0:
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
                inputs = outputs
        self.features = nn.Sequential(*layers)  # torchvision's numbering: features.0, features.2, features.5, ...

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.features(x)
        return y


class VGG16Encoder:
    """Loads on construction; raises WeightsUnusable. pooling: a name of search.retrieval.pooling."""

    name = "vgg16"
    dim = 512

    def __init__(self, weights: Path, pooling: str = "mac", *, device: str | None = None) -> None:
        if pooling not in POOLINGS:
            raise ValueError(f"There is no pooling {pooling}; known are {', '.join(POOLINGS)}.")
        self.pooling = pooling
        self._device = torch.device(device or device_name())
        network = VGG16()
        state, digest = _read(weights)
        try:
            network.load_state_dict({k: v for k, v in state.items() if not k.startswith("classifier.")})
        except RuntimeError:
            raise WeightsUnusable(f"VGG16 is off: {weights.name} does not hold the weights of a VGG16.") from None
        self._network = network.eval().requires_grad_(False).to(self._device)
        self._mean = torch.tensor(_MEAN, device=self._device).view(1, 3, 1, 1)
        self._std = torch.tensor(_STD, device=self._device).view(1, 3, 1, 1)
        self.version = f"vgg16-{digest[:8]}:{pooling}"

    def batch(self, side: int) -> int:
        """Images of this side to encode at a time."""
        return max(1, (_CPU_PIXELS if self._device.type == "cpu" else _GPU_PIXELS) // (side * side))

    def encode(self, images: Images) -> Vectors:
        """uint8 RGB (n, h, w, 3), any n -> float32 (n, 512)."""
        out = np.empty((len(images), self.dim), np.float32)
        step = self.batch(max(images.shape[1:3]))
        with torch.inference_mode():
            for start in range(0, len(images), step):
                pixels = torch.from_numpy(np.ascontiguousarray(images[start : start + step])).to(self._device)
                x = (pixels.permute(0, 3, 1, 2).float() - self._mean) / self._std
                out[start : start + step] = POOLINGS[self.pooling](self._network(x).cpu().numpy())
        return out


def _read(path: Path) -> tuple[Mapping[str, Tensor], str]:
    """The state dict of a file and the SHA-256 of the file."""
    if not path.is_file():
        raise WeightsUnusable(MISSING.format(path=path))
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError):
        raise WeightsUnusable(f"VGG16 is off: its weights {path.name} cannot be read.") from None
    if not isinstance(state, Mapping):
        raise WeightsUnusable(f"VGG16 is off: {path.name} does not hold the weights of a VGG16.")
    return state, digest
