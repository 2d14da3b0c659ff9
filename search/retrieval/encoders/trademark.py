"""The project's own encoder: a network trained on trademarks, with generalised-mean pooling and a projection.

EfficientNet-Lite0 (`efficientnet_lite`), GeM over its 1280 maps (Radenovic et al., TPAMI 2018), a linear layer
1280 -> dim. The weights are one safetensors file; beside it lies a model card of the same name (`.json`) whose
`sha256` the file must have. Written by search/training/export.py.

Tensors: `network.*` (state of `EfficientNetLite0`), `projection.weight` (dim, 1280), `projection.bias` (dim,). They
are widened to float32 when loaded; an int8 tensor T comes with `T.scale`, one factor per output channel.
Metadata: architecture, pooling, p, dim, sha256 (of the tensors, see `tensors_digest`), all strings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from search.retrieval.device import device_name
from search.retrieval.encoders import Images, Reader, Seen, Vectors, WeightsUnusable
from search.retrieval.encoders.efficientnet_lite import EfficientNetLite0, placed, portions, scaled

SHIPPED = Path(__file__).resolve().parents[1] / "weights" / "encoder.safetensors"
ARCHITECTURE, POOLING = "efficientnet-lite0", "gem"
_FLOOR = 1e-6
"""Least activation that is raised to a power: the gradient of the root is infinite at zero."""


Pass = Callable[[Images], tuple[Tensor, Vectors, Vectors]]
"""uint8 (n, h, w, 3) -> mid-level maps, features (n, 1280), vectors (n, dim)."""


class GeneralisedMean(nn.Module):
    """(mean x^p)^(1/p) of each map: (n, c, h, w) -> (n, c)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, maps: Tensor) -> Tensor:
        pooled: Tensor = maps.clamp(min=_FLOOR).pow(self.p).mean(dim=(2, 3)).pow(1 / self.p)
        return pooled


class TrademarkEncoder:
    """The `Encoder` contract over the shipped weights. Loads on construction; raises WeightsUnusable.

    card: the facts of the model card, e.g. `sides` (name of a view -> pixels it was measured best at).
    """

    name = "trademark"

    def __init__(self, *, device: str | None = None, weights: Path = SHIPPED) -> None:
        self._device = torch.device(device or device_name())
        self.card = read_card(weights)
        network, projection, p = load_parts(weights)
        self.dim, self._wide = int(projection.out_features), int(projection.in_features)
        self._run = (
            _by_onnx(network, projection, p)
            if self._device.type == "cpu"
            else _by_torch(network, projection, p, self._device)
        )

    @property
    def version(self) -> str:
        return f"trademark-{self.card['sha256'][:12]}"

    def encode(self, images: Images) -> Vectors:
        """uint8 RGB (n, h, w, 3) -> float32 (n, dim), not normalised."""
        return self.look(images).vectors

    def look(self, images: Images, reader: Reader | None = None) -> Seen:
        """The contract of encoders.ShowsPass; features (n, 1280)."""
        out = np.empty((len(images), self.dim), np.float32)
        features = np.empty((len(images), self._wide), np.float32)
        readings = []
        with torch.inference_mode():
            for rows in portions(images, self._device):
                middle, features[rows], out[rows] = self._run(images[rows])
                if reader is not None:
                    readings.append(reader(middle).cpu().numpy())
        return Seen(out, features, np.concatenate(readings) if readings else None)


def _by_onnx(network: EfficientNetLite0, projection: nn.Linear, p: float) -> Pass:
    from search.retrieval.encoders import onnx_network as onnx  # another heavy library, for those without a GPU

    session = onnx.session(network, p, _FLOOR, projection)

    def run(images: Images) -> tuple[Tensor, Vectors, Vectors]:
        middle, pooled, vectors = session.run([onnx.MIDDLE, onnx.FEATURES, onnx.VECTORS], {onnx.PIXELS: images})
        return torch.from_numpy(middle), pooled, vectors

    return run


def _by_torch(network: EfficientNetLite0, projection: nn.Linear, p: float, device: torch.device) -> Pass:
    pool, project = GeneralisedMean(p).to(device), projection.to(device).eval().requires_grad_(False)
    network = placed(network, device)

    def run(images: Images) -> tuple[Tensor, Vectors, Vectors]:
        middle = network.middle(scaled(images, device))
        pooled = pool(network.last(middle))
        return middle, pooled.cpu().numpy(), project(pooled).cpu().numpy()

    return run


def load_parts(weights: Path) -> tuple[EfficientNetLite0, nn.Linear, float]:
    """Network, projection and the p of its pooling, checked against the model card; raises WeightsUnusable."""
    tensors, metadata = _read(weights, str(read_card(weights).get("sha256", "")))
    return _assembled(weights.name, tensors, metadata)


def read_card(weights: Path) -> Mapping[str, Any]:
    """The model card beside the weights; raises WeightsUnusable."""
    path = weights.with_suffix(".json")
    try:
        card = json.loads(path.read_text("utf-8"))
        if not isinstance(card["sha256"], str):
            raise TypeError
    except OSError:
        raise WeightsUnusable(f"The model card {path.name} of the trademark encoder is missing.") from None
    except (ValueError, KeyError, TypeError):
        raise WeightsUnusable(f"The model card {path.name} does not say what its weights' SHA-256 is.") from None
    found: Mapping[str, Any] = card
    return found


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) over names, types and bytes of the tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path, expected: str) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """Tensors as they are stored, and the metadata."""
    from safetensors import SafetensorError, safe_open

    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise WeightsUnusable(f"The trademark encoder's weights {path.name} are missing.") from None
    if found != expected:
        raise WeightsUnusable(
            f"The trademark encoder's weights {path.name} are not those of its model card ({found[:12]})."
        )
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsUnusable(f"The trademark encoder's weights {path.name} are damaged: {error}.") from None


def _assembled(
    name: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> tuple[EfficientNetLite0, nn.Linear, float]:
    kind = (metadata.get("architecture"), metadata.get("pooling"))
    if kind != (ARCHITECTURE, POOLING):
        raise WeightsUnusable(f"The weights {name} are of another kind of encoder ({kind[0]}, {kind[1]}).")
    network = EfficientNetLite0()
    try:
        p, dim = float(metadata["p"]), int(metadata["dim"])
        projection = nn.Linear(network.head.out_channels, dim)
        wide = widened(tensors)
        network.load_state_dict(_below(wide, "network."))
        projection.load_state_dict(_below(wide, "projection."))
    except (KeyError, ValueError, RuntimeError) as error:
        raise WeightsUnusable(f"The weights {name} do not fit the encoder: {str(error).splitlines()[0]}") from None
    return network, projection, p


def widened(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Stored tensors as float32: fp16 as it is, int8 times its channel's scale."""
    out: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(".scale"):
            continue
        wide = tensor.to(torch.float32)
        if tensor.dtype == torch.int8:
            scale = tensors[f"{name}.scale"].to(torch.float32)
            wide = wide * scale.reshape(-1, *[1] * (wide.dim() - 1))
        out[name] = wide
    return out


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
