"""What the trainer saves is what the service loads, down to the numbers; anything else is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from search.retrieval.encoders import WeightsUnusable
from search.retrieval.encoders.efficientnet_lite import EfficientNetLite0
from search.retrieval.encoders.trademark import GeneralisedMean, TrademarkEncoder
from search.retrieval.pooling import gem
from search.training.export import save_encoder, stored

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def parts() -> tuple[EfficientNetLite0, nn.Linear]:
    """Random weights, of the size that keeps activations alive through 17 blocks."""
    torch.manual_seed(0)
    network = EfficientNetLite0().eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in")
    return network, nn.Linear(1280, 256)


@pytest.fixture
def saved(tmp_path: Path, parts: tuple[EfficientNetLite0, nn.Linear]) -> Path:
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, *parts, p=3.0, metadata={"sides": {"general": 192}})
    return path


def expected(parts: tuple[EfficientNetLite0, nn.Linear]) -> np.ndarray:
    """The network by hand: scaled pixels, maps, the generalised mean of pooling.py, the linear layer."""
    network, projection = parts
    pixels = torch.from_numpy((IMAGES.astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return projection(torch.from_numpy(gem(network(pixels).numpy(), p=3.0))).numpy()


def test_what_was_saved_is_what_is_loaded(saved: Path, parts: tuple[EfficientNetLite0, nn.Linear]) -> None:
    encoder = TrademarkEncoder(device="cpu", weights=saved)
    got, want = encoder.encode(IMAGES), expected(parts)
    assert got.shape == (3, 256) and got.dtype == np.float32 and encoder.dim == 256
    cosines = (got * want).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(want, axis=1)
    assert cosines.min() > 0.9999  # fp16
    assert encoder.card["sides"] == {"general": 192}
    assert saved.stat().st_size < 8_000_000


@pytest.mark.parametrize(("precision", "cosine"), [("float32", 0.999999), ("int8", 0.99)])
def test_other_precisions(
    tmp_path: Path, parts: tuple[EfficientNetLite0, nn.Linear], precision: str, cosine: float
) -> None:
    path = tmp_path / "e.safetensors"
    save_encoder(path, *parts, p=3.0, metadata={}, precision=precision)  # type: ignore[arg-type]
    got, want = TrademarkEncoder(device="cpu", weights=path).encode(IMAGES), expected(parts)
    assert ((got * want).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(want, axis=1)).min() > cosine


def test_int8_keeps_a_scale_for_each_output_channel() -> None:
    found = stored({"w": torch.tensor([[1.27, -0.635], [0.0, 12.7]]), "b": torch.tensor([0.3])}, "int8")
    np.testing.assert_allclose(found["w.scale"], [0.01, 0.1], rtol=1e-6)
    assert found["w"].tolist() == [[127, -64], [0, 127]] and found["b"].dtype == torch.float32


def test_the_same_weights_give_the_same_file_and_others_another_version(
    tmp_path: Path, saved: Path, parts: tuple[EfficientNetLite0, nn.Linear]
) -> None:
    again = tmp_path / "again.safetensors"
    sha = save_encoder(again, *parts, p=3.0, metadata={})
    assert sha == json.loads(saved.with_suffix(".json").read_text())["sha256"]
    other = tmp_path / "other.safetensors"
    save_encoder(other, *parts, p=4.0, metadata={})
    a, b = (TrademarkEncoder(device="cpu", weights=path).version for path in (again, other))
    assert a == f"trademark-{sha[:12]}" != b


def test_missing_altered_and_foreign_weights_are_refused_with_a_sentence(
    saved: Path, parts: tuple[EfficientNetLite0, nn.Linear]
) -> None:
    with pytest.raises(WeightsUnusable, match=r"model card nothing\.json of the trademark encoder is missing"):
        TrademarkEncoder(device="cpu", weights=saved.with_name("nothing.safetensors"))
    content = saved.read_bytes()
    saved.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(WeightsUnusable, match="not those of its model card"):
        TrademarkEncoder(device="cpu", weights=saved)
    saved.unlink()
    with pytest.raises(WeightsUnusable, match=r"weights encoder\.safetensors are missing"):
        TrademarkEncoder(device="cpu", weights=saved)
    saved.with_suffix(".json").write_text("[]")
    with pytest.raises(WeightsUnusable, match="does not say"):
        TrademarkEncoder(device="cpu", weights=saved)


def test_weights_of_another_kind_are_refused(saved: Path) -> None:
    import hashlib

    from safetensors.torch import save_file

    for metadata, sentence in (
        ({"architecture": "resnet50", "pooling": "gem"}, "another kind of encoder"),
        ({"architecture": "efficientnet-lite0", "pooling": "gem", "p": "3", "dim": "256"}, "do not fit"),
    ):
        save_file({"projection.weight": torch.zeros(256, 1280)}, saved, metadata=metadata)
        sha = hashlib.sha256(saved.read_bytes()).hexdigest()
        saved.with_suffix(".json").write_text(json.dumps({"sha256": sha}))
        with pytest.raises(WeightsUnusable, match=sentence):
            TrademarkEncoder(device="cpu", weights=saved)


def test_metadata_cannot_overrule_what_is_computed(tmp_path: Path, parts: tuple[EfficientNetLite0, nn.Linear]) -> None:
    with pytest.raises(ValueError, match="must not give sha256"):
        save_encoder(tmp_path / "e.safetensors", *parts, p=3.0, metadata={"sha256": "0"})
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        save_encoder(tmp_path / "e.bin", *parts, p=3.0, metadata={})


def test_generalised_mean_of_a_map() -> None:
    # ((0 + 8 + 64 + 216) / 4) ^ (1/3) = 72 ^ (1/3)
    maps = torch.tensor([[[[0.0, 2.0], [4.0, 6.0]]]])
    assert GeneralisedMean(3.0)(maps).item() == pytest.approx(72 ** (1 / 3), rel=1e-5)
