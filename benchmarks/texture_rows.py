"""What benchmarks/texture.py compares: layers, poolings, and the patterns that they give of every mark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.fit_descriptors import Marks
from search.retrieval import lbp
from search.retrieval.describe import GENERAL_SIDE
from search.retrieval.descriptors.general import whole
from search.retrieval.encoders.efficientnet_lite import EfficientNetLite0, batches, imagenet_weights, placed
from search.retrieval.encoders.trademark import SHIPPED, load_parts
from search.retrieval.imaging import decode_picture
from search.retrieval.normalise import normalise

__all__ = ["ROWS", "Row", "pooled"]

BATCH = 6

LAYERS: dict[str, tuple[str, bool]] = {
    "80 x 80, 32 maps": ("stem", True),
    "40 x 40, 144 maps": ("blocks.2.expand", True),
    "20 x 20, 240 maps": ("blocks.5.expand", True),
    "20 x 20, before ReLU": ("blocks.5.expand", False),
    "10 x 10, 480 maps": ("blocks.8.expand", True),
}
"""Name at 160 px -> module of the network, and whether its maps are taken after the activation."""
MIDDLE = "20 x 20, 240 maps"

POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "each map": lambda maps: lbp.histograms(maps).flatten(1),
    "each of 60 maps": lambda maps: lbp.histograms(maps[:, ::4]).flatten(1),
    "all maps together": lambda maps: lbp.cell_histograms(maps, 1).flatten(1),
    "2 x 2 cells": lambda maps: lbp.cell_histograms(maps, 2).flatten(1),
    "4 x 4 cells": lambda maps: lbp.cell_histograms(maps, 4).flatten(1),
}


@dataclass(frozen=True)
class Row:
    """One choice. root: square roots of the shares; power: of the PCA, 0.5 whitens."""

    layer: str = MIDDLE
    pooling: str = "2 x 2 cells"
    root: bool = True
    power: float = 0.5
    dim: int = 128
    network: str = "shipped"
    side: int = GENERAL_SIDE


PAPER = Row(pooling="each map", root=False, power=0.0, dim=256)
OURS = Row()
ROWS: tuple[tuple[str, Row], ...] = (
    ("paper: a histogram for each map, PCA", PAPER),
    ("paper, before the activation", replace(PAPER, layer="20 x 20, before ReLU")),
    ("paper, frozen ImageNet network", replace(PAPER, network="frozen")),
    ("paper + square root", replace(PAPER, root=True)),
    ("paper + square root + whitening", replace(PAPER, root=True, power=0.5)),
    ("paper + both, 128 numbers", replace(PAPER, root=True, power=0.5, dim=128)),
    ("paper + both, 128 numbers, every 4th map", replace(OURS, pooling="each of 60 maps")),
    ("all maps together, no place", replace(OURS, pooling="all maps together", dim=58)),
    ("2 x 2 cells (ships)", OURS),
    ("2 x 2 cells, 64 numbers", replace(OURS, dim=64)),
    ("2 x 2 cells, 235 numbers", replace(OURS, dim=235)),
    ("2 x 2 cells, not whitened", replace(OURS, power=0.0)),
    ("2 x 2 cells, no square root", replace(OURS, root=False)),
    ("4 x 4 cells", replace(OURS, pooling="4 x 4 cells")),
    ("2 x 2 cells, before the activation", replace(OURS, layer="20 x 20, before ReLU")),
    ("2 x 2 cells, stem", replace(OURS, layer="80 x 80, 32 maps")),
    ("2 x 2 cells, earlier layer", replace(OURS, layer="40 x 40, 144 maps")),
    ("2 x 2 cells, later layer", replace(OURS, layer="10 x 10, 480 maps")),
    ("2 x 2 cells, 224 px (a pass of its own)", replace(OURS, side=224)),
    ("2 x 2 cells, frozen ImageNet network (a pass of its own)", replace(OURS, network="frozen")),
)  # fmt: skip


def network_of(name: str) -> EfficientNetLite0:
    """The trained network that ships, or the one it started from."""
    if name == "shipped":
        network, _, _ = load_parts(SHIPPED)
    else:
        network = EfficientNetLite0()
        network.load_folded(imagenet_weights())
    return placed(network, torch.device("cpu"))


@contextmanager
def tapped(network: nn.Module, layers: Sequence[str], read: Callable[[str, Tensor], None]) -> Iterator[None]:
    """`read` is called with the maps of these layers in every pass."""

    def tap(layer: str, after: bool) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
            read(layer, made if after else nn.Conv2d.forward(module, given[0]))  # type: ignore[arg-type]

        return hook

    handles = []
    for layer in layers:
        module, after = LAYERS[layer]
        handles.append(network.get_submodule(module).register_forward_hook(tap(layer, after)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def pooled(marks: Marks, network: str, side: int, wanted: set[tuple[str, str]], cache: Path) -> dict[str, np.ndarray]:
    """ "layer | pooling" -> shares (n, d) float16 of all marks, from one pass, or from the cache."""
    path = cache / f"{marks.split}-{len(marks.paths)}-{network}-{side}.npz"
    names = {f"{layer} | {pooling}" for layer, pooling in wanted}
    if path.exists():
        with np.load(path) as stored:
            if names <= set(stored):
                return {name: stored[name] for name in names}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}

    def read(layer: str, maps: Tensor) -> None:
        for name, pooling in wanted:
            if name == layer:
                parts[f"{layer} | {pooling}"].append(POOLINGS[pooling](maps).numpy().astype(np.float16))

    model = network_of(network)
    with tapped(model, sorted({layer for layer, _ in wanted}), read), torch.inference_mode():
        for start in tqdm(range(0, len(marks.paths), BATCH), desc=f"{marks.split} {network} {side}"):
            content = [p.read_bytes() for p in marks.paths[start : start + BATCH]]
            views = np.stack([whole(normalise(decode_picture(data)), side) for data in content])
            for _, pixels in batches(views, torch.device("cpu")):
                model(pixels)
    found = {name: np.concatenate(rows) for name, rows in parts.items()}
    np.savez(path, **found)  # type: ignore[arg-type]
    return found
