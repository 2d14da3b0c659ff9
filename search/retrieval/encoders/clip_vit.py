"""CLIP ViT-B/32 (Radford et al., ICML 2021): image and text towers in one space of 512, as in DarwinGSE.

A plug-in: neither the weights nor the library `transformers` come with the project, and nothing is ever fetched. Give
a directory in the Hugging Face layout (`config.json`, `model.safetensors`, the tokenizer's `vocab.json` and
`merges.txt` or `tokenizer.json`): a copy of openai/clip-vit-base-patch32, or the folder `0_CLIPModel` of
sentence-transformers/clip-ViT-B-32. Without either the descriptor is off and says what is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from search.retrieval.device import device_name
from search.retrieval.encoders import Images, WeightsUnusable
from search.retrieval.pooling import Vectors

_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's own, in 0..1
_CPU_BATCH, _GPU_BATCH = 8, 256


class ClipEncoder:
    """The Encoder contract over CLIP's image tower, and `encode_words` over its text tower.

    Loads on construction; raises WeightsUnusable. Vectors are the projected ones, not normalised.
    """

    name = "clip-vit-b32"

    def __init__(self, directory: Path, *, device: str | None = None) -> None:
        self._directory = directory
        self._device = torch.device(device or device_name())
        weights = _weights_of(directory)
        library = _library()
        try:
            # Any: the library is optional and has no types here.
            model: Any = library.CLIPModel.from_pretrained(directory, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError, RuntimeError, KeyError):
            raise WeightsUnusable(f"CLIP is off: {directory.name} does not hold a CLIP model.") from None
        self._model = model.eval().requires_grad_(False).to(self._device)
        self._side = int(model.config.vision_config.image_size)
        self._longest = int(model.config.text_config.max_position_embeddings)
        self._tokenizer: Any = None
        self.dim = int(model.config.projection_dim)
        self.version = f"clip-{hashlib.sha256(weights.read_bytes()).hexdigest()[:12]}"

    def batch(self, side: int) -> int:
        """Images to encode at a time; the network resizes all to its own side, so `side` does not matter."""
        return _CPU_BATCH if self._device.type == "cpu" else _GPU_BATCH

    def encode(self, images: Images) -> Vectors:
        """uint8 RGB (n, h, w, 3), any n -> float32 (n, dim)."""
        out = np.empty((len(images), self.dim), np.float32)
        step = self.batch(images.shape[1])
        with torch.inference_mode():
            for start in range(0, len(images), step):
                pixels = torch.from_numpy(np.ascontiguousarray(images[start : start + step])).to(self._device)
                hidden = self._model.vision_model(pixel_values=self._scaled(pixels)).pooler_output
                out[start : start + step] = self._model.visual_projection(hidden).float().cpu().numpy()
        return out

    def encode_words(self, texts: Sequence[str]) -> Vectors:
        """Words or sentences -> float32 (n, dim), in the space of the images. Raises WeightsUnusable."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        tokens = self._tokens(texts)
        with torch.inference_mode():
            hidden = self._model.text_model(**tokens).pooler_output
            vectors: Vectors = self._model.text_projection(hidden).float().cpu().numpy()
        return vectors

    def _scaled(self, pixels: Tensor) -> Tensor:
        """(n, h, w, 3) uint8 -> (n, 3, side, side): bicubic, without CLIP's centre crop, which would cut marks."""
        x = pixels.permute(0, 3, 1, 2).float() / 255
        if x.shape[2:] != (self._side, self._side):
            x = torch.nn.functional.interpolate(
                x, size=(self._side, self._side), mode="bicubic", antialias=True, align_corners=False
            ).clamp(0, 1)
        mean, std = (x.new_tensor(v).view(1, 3, 1, 1) for v in (_MEAN, _STD))
        return (x - mean) / std

    def _tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        if self._tokenizer is None:
            try:
                self._tokenizer = _library().CLIPTokenizer.from_pretrained(self._directory, local_files_only=True)
            except (OSError, ValueError, TypeError):
                raise WeightsUnusable(
                    f"CLIP cannot read words: put vocab.json and merges.txt of its tokenizer into {self._directory}."
                ) from None
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
        )
        return {name: tokens[name].to(self._device) for name in ("input_ids", "attention_mask")}


def _weights_of(directory: Path) -> Path:
    weights = directory / "model.safetensors"
    if not weights.is_file() or not (directory / "config.json").is_file():
        raise WeightsUnusable(
            "CLIP is off: its weights are not on disk. Put config.json, model.safetensors and the tokenizer files of "
            f"openai/clip-vit-base-patch32 into {directory} to turn it on."
        )
    return weights


def _library() -> Any:
    if find_spec("transformers") is None:
        raise WeightsUnusable("CLIP is off: run `pip install transformers` to turn it on.")
    try:
        return import_module("transformers.models.clip")
    except ImportError as error:  # installed, but something that it needs is not
        raise WeightsUnusable(f"CLIP is off: the library transformers does not load ({error}).") from None
