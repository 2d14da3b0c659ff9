import json
from pathlib import Path

import numpy as np
import pytest
import torch

from search.retrieval.encoders import WeightsUnusable, clip_vit
from search.retrieval.encoders.clip_vit import ClipEncoder


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP at random, saved as the real one is."""
    transformers = pytest.importorskip("transformers", reason="the library is optional")
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("clip")
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": 8, "max_position_embeddings": 8, "bos_token_id": 6, "eos_token_id": 7},
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )
    transformers.CLIPModel(config).save_pretrained(path)
    words = ["a", "b", "a</w>", "b</w>", "ab</w>", "<pad>", "<|startoftext|>", "<|endoftext|>"]
    (path / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (path / "merges.txt").write_text("#version: 0.2\na b</w>\n")
    return path


def test_pooled_vectors_do_not_depend_on_the_batch(directory: Path) -> None:
    encoder = ClipEncoder(directory, device="cpu")
    images = np.random.default_rng(0).integers(0, 256, (11, 40, 40, 3), dtype=np.uint8)
    vectors = encoder.encode(images)
    assert vectors.shape == (11, encoder.dim) == (11, 12) and vectors.dtype == np.float32
    np.testing.assert_allclose(encoder.encode(images[9:10]), vectors[9:10], atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_words_land_in_the_space_of_the_images(directory: Path) -> None:
    encoder = ClipEncoder(directory, device="cpu")
    words = encoder.encode_words(["ab", "b a"])
    assert words.shape == (2, 12) and np.abs(words[0] - words[1]).max() > 1e-3
    np.testing.assert_allclose(encoder.encode_words(["ab"]), words[:1], atol=1e-5)  # padding says nothing
    assert encoder.encode_words([]).shape == (0, 12)


def test_missing_weights_are_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnusable, match=r"Put config\.json, model\.safetensors"):
        ClipEncoder(tmp_path, device="cpu")


def test_missing_library_is_refused_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    monkeypatch.setattr(clip_vit, "find_spec", lambda name: None)
    with pytest.raises(WeightsUnusable, match="pip install transformers"):
        ClipEncoder(tmp_path, device="cpu")


def test_a_library_that_does_not_load_is_refused_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")

    def broken(name: str) -> None:
        raise ModuleNotFoundError("No module named 'httpx2'")

    monkeypatch.setattr(clip_vit, "find_spec", lambda name: object())
    monkeypatch.setattr(clip_vit, "import_module", broken)
    with pytest.raises(WeightsUnusable, match=r"does not load .*httpx2"):
        ClipEncoder(tmp_path, device="cpu")


def test_files_that_are_no_model_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the library is optional")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("nonsense")
    with pytest.raises(WeightsUnusable, match="does not hold a CLIP"):
        ClipEncoder(tmp_path, device="cpu")
