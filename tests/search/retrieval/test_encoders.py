from pathlib import Path

import numpy as np
import pytest
import torch

from search.retrieval.encoders import WeightsUnusable
from search.retrieval.encoders import efficientnet_lite as lite
from search.retrieval.encoders.efficientnet_lite import EfficientNetLiteEncoder


@pytest.fixture(scope="module")
def encoder() -> EfficientNetLiteEncoder:
    return EfficientNetLiteEncoder(device="cpu")


def test_maps_have_the_size_of_the_architecture(encoder: EfficientNetLiteEncoder) -> None:
    for side, expected in ((128, 4), (160, 5), (192, 6), (100, 4)):
        maps = encoder.encode(np.zeros((2, side, side, 3), np.uint8))
        assert maps.shape == (2, 1280, expected, expected) and maps.dtype == np.float32
        assert maps.min() >= 0 and maps.max() <= 6  # ReLU6


def test_batch_does_not_change_the_answer(encoder: EfficientNetLiteEncoder) -> None:
    images = np.random.default_rng(0).integers(0, 256, (19, 96, 96, 3), dtype=np.uint8)
    together = encoder.encode(images)
    one_by_one = np.concatenate([encoder.encode(images[i : i + 1]) for i in range(19)])
    np.testing.assert_allclose(together, one_by_one, atol=1e-3)


def test_the_weights_still_know_imagenet(encoder: EfficientNetLiteEncoder) -> None:
    # A daisy of scikit-learn's own samples: right only if architecture, padding, folding and scaling all are.
    from sklearn.datasets import load_sample_image

    flower = load_sample_image("flower.jpg")[100:400, 200:500]
    image = np.ascontiguousarray(flower[::1, ::1][:288, :288])
    weights = lite._read(lite._packaged())
    pooled = torch.from_numpy(encoder.encode(image[None]).mean(axis=(2, 3)))
    best = (pooled @ weights["_fc.weight"].T + weights["_fc.bias"]).topk(5).indices[0].tolist()
    assert 985 in best or 947 in best  # daisy; the sample is a chrysanthemum-like bloom


def test_missing_and_foreign_weights_are_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnusable, match="cannot be read"):
        EfficientNetLiteEncoder(device="cpu", weights=tmp_path / "none.pth")
    (tmp_path / "foreign.pth").write_bytes(b"not these")
    with pytest.raises(WeightsUnusable, match="not the expected ones"):
        EfficientNetLiteEncoder(device="cpu", weights=tmp_path / "foreign.pth")


@pytest.mark.gpu
def test_gpu_and_cpu_agree_within_rounding(encoder: EfficientNetLiteEncoder) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    images = np.random.default_rng(1).integers(0, 256, (8, 192, 192, 3), dtype=np.uint8)
    on_gpu = EfficientNetLiteEncoder(device="cuda").encode(images)
    np.testing.assert_allclose(encoder.encode(images), on_gpu, atol=2e-2)
