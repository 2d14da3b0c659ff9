"""Teaching image features what words mean: a head from pooled features into the space of a sentence encoder.

Contrastive image-text learning with both encoders frozen (Radford et al., "CLIP", ICML 2021; with a locked text tower
as in Zhai et al., "LiT", CVPR 2022). Pairs in a batch whose words mean the same are no negatives of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from search.retrieval.pooling import unit

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """hidden: width of the head's inner layer. same: cosine of two phrases from which on they mean the same.
    temperature: of the contrast, fixed. drop: share of inner values left out. noise: on the standardised features.
    """

    hidden: int = 512
    epochs: int = 25
    batch: int = 512
    rate: float = 1e-3
    decay: float = 0.05
    temperature: float = 0.06
    same: float = 0.8
    drop: float = 0.4
    noise: float = 0.3
    seed: int = 0


@dataclass(frozen=True)
class Said:
    """What is said of n images. vectors: (t, k) unit vectors of all phrases. phrases[i]: rows of `vectors` that fit
    image i, weights[i]: how often each is drawn."""

    vectors: Features
    phrases: Sequence[Sequence[int]]
    weights: Sequence[Sequence[float]]

    def padded(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(n, m) phrases and their probabilities; a row's own first phrase with probability 0 fills what is empty."""
        most = max(len(own) for own in self.phrases)
        rows = np.empty((len(self.phrases), most), np.int64)
        chances = np.zeros((len(self.phrases), most))
        for place, (own, weights) in enumerate(zip(self.phrases, self.weights, strict=True)):
            rows[place] = own[0]
            rows[place, : len(own)] = own
            chances[place, : len(own)] = np.array(weights) / sum(weights)
        return rows, chances


class Head(nn.Module):
    """Standardised features (n, d) -> unit vectors (n, k): a linear map plus one hidden layer."""

    def __init__(self, inputs: int, hidden: int, outputs: int, drop: float) -> None:
        super().__init__()
        self.inner = nn.Linear(inputs, hidden)
        self.outer = nn.Linear(hidden, outputs)
        self.skip = nn.Linear(inputs, outputs, bias=False)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.drop(nn.functional.relu(self.inner(x)))
        return nn.functional.normalize(self.skip(self.drop(x)) + self.outer(inner), dim=1)


def standard(features: Features) -> tuple[Features, Features]:
    """Mean and scale (d,) that bring unit features to mean 0 and variance 1; a dead channel keeps scale 0."""
    x = unit(features)
    deviation = x.std(axis=0)
    scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0)
    return x.mean(axis=0).astype(np.float32), scale.astype(np.float32)


def contrast(images: Tensor, texts: Tensor, same: Tensor, temperature: float) -> Tensor:
    """InfoNCE both ways (CLIP, figure 3). images, texts: (b, k) unit rows, row i of both a pair.

    same: (b, b) bool, [i, j] true where text i fits image j as well: such a pair is left out of the sum. The diagonal
    does not matter.
    """
    logits = images @ texts.T / temperature
    off = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
    answer = torch.arange(len(logits), device=logits.device)
    by_image = nn.functional.cross_entropy(logits.masked_fill(off.T, -torch.inf), answer)
    by_text = nn.functional.cross_entropy(logits.T.masked_fill(off, -torch.inf), answer)
    return (by_image + by_text) / 2


def same_meaning(vectors: Features, same: float) -> NDArray[np.bool_]:
    """(t, t) bool: whether the cosine of two phrases is above `same`; made once, a byte a pair."""
    found = np.empty((len(vectors), len(vectors)), bool)
    for start in range(0, len(vectors), 1024):
        found[start : start + 1024] = vectors[start : start + 1024] @ vectors.T > same
    return found


def alike(texts: NDArray[np.int64], every: NDArray[np.int64], meaning: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(b, b) bool: [i, j] true where phrase texts[i] (b,) means the same as any phrase of image j, every[j] (b, m)."""
    flat = meaning[texts][:, every.ravel()]
    return np.asarray(flat.reshape(len(texts), *every.shape).any(axis=2))


def fit(
    features: Features,
    said: Said,
    settings: Settings,
    *,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
) -> dict[str, Features]:
    """The parts of a SemanticHead, float32, from pooled features (n, d) and what is said of each image.

    The same seed gives the same head on one CPU. progress: called with (epoch, mean loss) after each.
    """
    torch.manual_seed(settings.seed)
    draw = np.random.default_rng(settings.seed)
    mean, scale = standard(features)
    x = torch.from_numpy((unit(features) - mean) * scale)
    vectors = torch.from_numpy(said.vectors)
    rows, chances = said.padded()
    edges = chances.cumsum(axis=1)
    meaning = same_meaning(said.vectors, settings.same)
    head = Head(features.shape[1], settings.hidden, said.vectors.shape[1], settings.drop)
    steps = settings.epochs * max(len(x) // settings.batch, 1)
    optimiser = torch.optim.AdamW(head.parameters(), lr=settings.rate, weight_decay=settings.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=steps, pct_start=0.15)
    for epoch in range(settings.epochs):
        losses = []
        for batch in _batches(draw.permutation(len(x)), settings.batch):
            drawn = (draw.random((len(batch), 1)) > edges[batch]).sum(axis=1).clip(max=rows.shape[1] - 1)
            texts = rows[batch, drawn]
            same = torch.from_numpy(alike(texts, rows[batch], meaning))
            given = x[batch] + settings.noise * torch.randn(len(batch), x.shape[1])
            loss = contrast(head(given), vectors[texts], same, settings.temperature)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        progress(epoch, float(np.mean(losses)))
    return _parts(head, mean, scale)


def _batches(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Whole batches; the rest waits for the next epoch. All in one where there are fewer."""
    whole = max(len(order) // size, 1)
    return [order[n * size : (n + 1) * size] for n in range(whole)]


def ridge(features: Features, targets: Features, strength: float) -> dict[str, Features]:
    """The baseline: least squares from standardised features (n, d) to target vectors (n, k), as a head without an
    inner layer. strength: of the penalty, as a share of n."""
    mean, scale = standard(features)
    x = ((unit(features) - mean) * scale).astype(np.float64)
    centre = targets.mean(axis=0)
    gram = x.T @ x + strength * len(x) * np.eye(x.shape[1])
    weight = np.linalg.solve(gram, x.T @ (targets - centre)).T.astype(np.float32)
    wide, deep = weight.shape[1], weight.shape[0]
    return {
        "mean": mean, "scale": scale, "skip_weight": weight, "outer_bias": centre.astype(np.float32),
        "inner_weight": np.zeros((1, wide), np.float32), "inner_bias": np.zeros(1, np.float32),
        "outer_weight": np.zeros((deep, 1), np.float32),
    }  # fmt: skip


def _parts(head: Head, mean: Features, scale: Features) -> dict[str, Features]:
    state = {name: value.detach().numpy().copy() for name, value in head.state_dict().items()}
    return {
        "mean": mean, "scale": scale,
        "inner_weight": state["inner.weight"], "inner_bias": state["inner.bias"],
        "outer_weight": state["outer.weight"], "outer_bias": state["outer.bias"],
        "skip_weight": state["skip.weight"],
    }  # fmt: skip
