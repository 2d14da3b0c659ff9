"""A trained network as the one file that ships, with its model card beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from search.retrieval.durable import write_whole
from search.retrieval.encoders.efficientnet_lite import EfficientNetLite0
from search.retrieval.encoders.trademark import ARCHITECTURE, POOLING, tensors_digest
from search.training.network import plain
from search.training.trainer import Trainer

__all__ = ["export_run", "save_encoder"]

Precision = Literal["float32", "float16", "int8"]


def save_encoder(
    path: Path,
    network: EfficientNetLite0,
    projection: nn.Linear,
    *,
    p: float,
    metadata: Mapping[str, Any],
    precision: Precision = "float16",
) -> str:
    """Write `path` (.safetensors) and its model card `path` (.json); give the file's SHA-256 (hex).

    projection: nn.Linear(1280, dim), with bias. metadata: further facts for the card (JSON: `sides`, data, licences,
    recipe, seeds, figures, limits). The same tensors and metadata give the same bytes. int8: weights with one
    scale per output channel (largest magnitude = 127), biases in float32.
    Raises ValueError for a name that is not *.safetensors, or metadata that would overrule what is computed.
    """
    from safetensors.torch import save

    if path.suffix != ".safetensors":
        raise ValueError(f"{path.name} must end in .safetensors: the model card takes its name with .json.")
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    state |= {f"projection.{name}": tensor for name, tensor in projection.state_dict().items()}
    tensors = stored(state, precision)
    facts = {
        "architecture": ARCHITECTURE,
        "pooling": POOLING,
        "p": str(float(p)),
        "dim": str(projection.out_features),
        "precision": precision,
    }
    computed = {*facts, "file", "sha256", "bytes"}
    if computed & set(metadata):
        raise ValueError(f"The metadata must not give {', '.join(sorted(computed & set(metadata)))}.")
    content = _in_order(save(tensors, metadata={**facts, "sha256": tensors_digest(tensors)}))
    sha = hashlib.sha256(content).hexdigest()
    card = {"file": path.name, "sha256": sha, "bytes": len(content), **facts, **metadata}
    # The card last: weights without their card are refused, a card without its weights as well.
    write_whole(path, content)
    write_whole(path.with_suffix(".json"), json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    return sha


def export_run(run: Trainer, folder: Path, *, source: Mapping[str, Any]) -> Path:
    """Write `folder`/encoder.safetensors and its card from the averaged weights of a run. source: of the data."""
    network = plain(run.average)
    path = folder / "encoder.safetensors"
    card = {"recipe": run.recipe.to_json(), "steps": run.step, "data": dict(source)}
    save_encoder(path, network.backbone, network.projection, p=network.pool.p, metadata=card)
    return path


def stored(state: Mapping[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """float32 tensors in the precision of the file; see `search.retrieval.encoders.trademark.widened`."""
    out: dict[str, Tensor] = {}
    for name, tensor in state.items():
        value = tensor.detach().to("cpu", torch.float32).contiguous()
        if precision == "int8" and value.dim() > 1:
            scale = value.abs().flatten(1).amax(dim=1).clamp(min=1e-12) / 127
            out[f"{name}.scale"] = scale
            out[name] = (value / scale.reshape(-1, *[1] * (value.dim() - 1))).round().to(torch.int8)
        else:
            out[name] = value.to(torch.float16) if precision == "float16" else value
    return out


def _in_order(content: bytes) -> bytes:
    """The same file with its header's names sorted: the library writes them in a new order each time.

    Format: uint64 length of the header, the header (JSON, padded with blanks to 8 bytes), the tensors' bytes.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]
