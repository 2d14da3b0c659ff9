"""What hash codes are learnt from, computed once for every mark and kept on disk.

folder/
  features.json   what it was made for; written last
  general.npy     float16 (n, 256), the stored `general` vectors
  pooled.npy      float16 (n, 1280), what they are projected from
  maps.npy        float16 (n, c, h, w), the last feature map before the head, on its strongest c directions
  thumbs.npy      uint8 (n, 28, 28), the picture, for what reconstructs it
  basis.npz       those directions: mean (320,), matrix (320, c)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from search.retrieval.describe import GENERAL_SIDE, WEIGHTS
from search.retrieval.durable import whole_file, write_whole
from search.retrieval.normalise import resized
from search.retrieval.whitening import Whitening
from search.training.dataset import DatasetError
from search.training.network import TrademarkNetwork

__all__ = ["THUMB", "HashFeatures", "precompute"]

THUMB = 28
"""Pixels of the reconstructed picture (Sabour et al., NIPS 2017)."""
_CARD, _BASIS, _PROGRESS = "features.json", "basis.npz", "progress.json"
_NAMES = ("general", "pooled", "maps", "thumbs")
_CHANNELS, _FITTED_ON, _BATCH, _CHUNK = 64, 1000, 16, 512


@dataclass(frozen=True)
class HashFeatures:
    """n marks as described above. made_for: "encoder", "whitening" and "side", as texts."""

    general: NDArray[np.float16]
    pooled: NDArray[np.float16]
    maps: NDArray[np.float16]
    thumbs: NDArray[np.uint8]
    made_for: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.general)

    @classmethod
    def load(cls, folder: Path) -> HashFeatures:
        """Raises DatasetError when there are none, or only half of them."""
        try:
            card = json.loads((folder / _CARD).read_text("utf-8"))
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _NAMES}
            made_for = {str(key): str(value) for key, value in card["made_for"].items()}
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(
                f"{folder} holds no features to hash ({error}); `manage.py train_hash` makes them."
            ) from None
        if {len(array) for array in arrays.values()} != {card["marks"]}:
            raise DatasetError(f"The files of {folder} do not belong together; delete the folder and make them again.")
        return cls(**arrays, made_for=made_for)


def precompute(
    grey: NDArray[np.uint8],
    folder: Path,
    *,
    weights: Path = WEIGHTS,
    basis: Path | None = None,
    channels: int = _CHANNELS,
    device: str = "cpu",
    done: Callable[[int], None] = lambda _: None,
) -> HashFeatures:
    """Features of normalised grey pictures uint8 (n, s, s); stopped, it goes on where it was.

    basis: folder of earlier features whose directions are to be used, so that both can go through one network.
    done: called with the number of marks finished since the last call. Raises WeightsUnusable.
    """
    from search.training.run import trained

    network = trained(weights / "encoder.safetensors").to(device).eval().requires_grad_(False)
    whitening = Whitening.load(weights / "general.npz")
    made_for = _made_for(weights, whitening)
    stamp = {"made_for": made_for, "marks": len(grey), "pictures": _stamp(grey)}
    if (folder / _CARD).exists() and json.loads((folder / _CARD).read_text("utf-8")) == stamp:
        done(len(grey))
        return HashFeatures.load(folder)
    folder.mkdir(parents=True, exist_ok=True)
    at = _resume(folder, stamp)
    if at == 0:
        found = _fit_basis(network, grey, channels, device) if basis is None else dict(np.load(basis / _BASIS))
        with whole_file(folder / _BASIS) as hidden, hidden.open("wb") as file:
            np.savez(file, **found)
    with np.load(folder / _BASIS, allow_pickle=False) as stored:
        mean, matrix = stored["mean"], stored["matrix"]
    arrays = _open(folder, len(grey), channels, whitening.dim, network, fresh=at == 0)
    done(at)
    for start in range(at, len(grey), _CHUNK):
        rows = slice(start, min(start + _CHUNK, len(grey)))
        for first in range(rows.start, rows.stop, _BATCH):
            part = slice(first, min(first + _BATCH, rows.stop))
            maps, pooled, vectors = _encoded(network, grey[part], device)
            arrays["general"][part] = whitening.apply(vectors)
            arrays["pooled"][part] = pooled
            arrays["maps"][part] = np.einsum("nchw,ck->nkhw", maps - mean[None, :, None, None], matrix)
            arrays["thumbs"][part] = [cv2.resize(g, (THUMB, THUMB), interpolation=cv2.INTER_AREA) for g in grey[part]]
        for array in arrays.values():
            array.flush()
        _write(folder / _PROGRESS, {**stamp, "done": rows.stop})
        done(rows.stop - start)
    for name in _NAMES:
        (folder / f"tmp-{name}.npy").replace(folder / f"{name}.npy")
    (folder / _PROGRESS).unlink()
    _write(folder / _CARD, stamp)
    return HashFeatures.load(folder)


@torch.inference_mode()
def _encoded(
    network: TrademarkNetwork, grey: NDArray[np.uint8], device: str
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Maps (n, 320, h, w), pooled (n, 1280) and the encoder's vectors (n, 256)."""
    seen = np.stack([resized(picture, GENERAL_SIDE)[:, :, 0] for picture in grey])
    maps = network.early(torch.from_numpy(seen).to(device), len(network.backbone.blocks))
    pooled = network.pool(network.backbone.head(maps).float())
    vectors = network.projection(pooled)
    return maps.float().cpu().numpy(), pooled.cpu().numpy(), vectors.cpu().numpy()


def _fit_basis(
    network: TrademarkNetwork, grey: NDArray[np.uint8], channels: int, device: str
) -> dict[str, NDArray[np.float32]]:
    """PCA of the maps' columns over some of the marks, each direction brought to variance 1."""
    rows = np.unique(np.linspace(0, len(grey) - 1, min(_FITTED_ON, len(grey))).astype(int))
    parts = [_encoded(network, grey[rows[i : i + _BATCH]], device)[0] for i in range(0, len(rows), _BATCH)]
    columns = np.concatenate(parts).transpose(0, 2, 3, 1).reshape(-1, parts[0].shape[1]).astype(np.float64)
    mean = columns.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(columns - mean, rowvar=False))
    best = np.argsort(variances)[::-1][:channels]
    matrix = directions[:, best] / np.sqrt(np.maximum(variances[best], 1e-6))
    matrix *= np.sign(matrix[np.abs(matrix).argmax(axis=0), np.arange(len(best))])
    return {"mean": mean.astype(np.float32), "matrix": matrix.astype(np.float32)}


def _open(
    folder: Path, count: int, channels: int, dim: int, network: TrademarkNetwork, *, fresh: bool
) -> dict[str, np.memmap[Any, Any]]:
    side = -(-GENERAL_SIDE // 32)
    shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
        "general": (np.float16, (count, dim)),
        "pooled": (np.float16, (count, network.projection.in_features)),
        "maps": (np.float16, (count, channels, side, side)),
        "thumbs": (np.uint8, (count, THUMB, THUMB)),
    }
    mode = "w+" if fresh else "r+"
    return {
        name: np.lib.format.open_memmap(folder / f"tmp-{name}.npy", mode=mode, dtype=kind, shape=shape)
        for name, (kind, shape) in shapes.items()
    }


def _made_for(weights: Path, whitening: Whitening) -> dict[str, str]:
    from search.retrieval.encoders.trademark import read_card

    encoder = f"trademark-{read_card(weights / 'encoder.safetensors')['sha256'][:12]}"
    return {"encoder": encoder, "whitening": whitening.version, "side": str(GENERAL_SIDE)}


def _stamp(grey: NDArray[np.uint8]) -> str:
    """Of a few pictures spread over the whole: enough to notice other data."""
    rows = np.unique(np.linspace(0, len(grey) - 1, 16).astype(int))
    return hashlib.sha256(np.ascontiguousarray(grey[rows]).tobytes()).hexdigest()[:16]


def _resume(folder: Path, stamp: Mapping[str, Any]) -> int:
    try:
        found = json.loads((folder / _PROGRESS).read_text("utf-8"))
    except (OSError, ValueError):
        return 0
    return int(found["done"]) if {key: found[key] for key in stamp} == stamp else 0


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_whole(path, json.dumps(content, indent=1) + "\n")
