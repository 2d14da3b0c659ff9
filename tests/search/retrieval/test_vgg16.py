from pathlib import Path

import numpy as np
import pytest
import torch

from search.retrieval.encoders import WeightsUnusable
from search.retrieval.encoders.vgg16 import VGG16, VGG16Encoder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save({**VGG16().state_dict(), "classifier.0.bias": torch.zeros(4096)}, path)
    return path


def test_torchvisions_names_and_the_papers_number_of_parameters() -> None:
    with torch.device("meta"):
        network = VGG16()
    names = list(network.state_dict())
    assert names[0] == "features.0.weight" and names[-1] == "features.28.bias" and len(names) == 26
    assert sum(p.numel() for p in network.parameters()) == 14_714_688


def test_pooled_vectors_do_not_depend_on_the_batch(weights: Path) -> None:
    encoder = VGG16Encoder(weights, device="cpu")
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    vectors = encoder.encode(images)
    assert vectors.shape == (5, 512) and vectors.dtype == np.float32 and (vectors >= 0).all()
    np.testing.assert_allclose(encoder.encode(images[3:4]), vectors[3:4], atol=1e-5)


def test_version_changes_with_the_pooling(weights: Path) -> None:
    first, second = (VGG16Encoder(weights, pooling, device="cpu") for pooling in ("mac", "spoc"))
    assert first.version != second.version


def test_missing_and_foreign_weights_are_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnusable, match=r"Put torchvision's vgg16-397923af.pth at .*none\.pth"):
        VGG16Encoder(tmp_path / "none.pth", device="cpu")
    (tmp_path / "noise.pth").write_bytes(b"not these")
    with pytest.raises(WeightsUnusable, match="cannot be read"):
        VGG16Encoder(tmp_path / "noise.pth", device="cpu")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsUnusable, match="does not hold"):
        VGG16Encoder(tmp_path / "other.pth", device="cpu")
