from pathlib import Path

import numpy as np
import pytest
import torch

from search.retrieval.encoders import WeightsUnusable
from search.retrieval.encoders import efficientnet_lite as lite
from search.retrieval.encoders.efficientnet_lite import EfficientNetLiteEncoder
from search.retrieval.encoders.trademark import SHIPPED, TrademarkEncoder, _by_torch, load_parts


@pytest.fixture(scope="module")
def encoder() -> EfficientNetLiteEncoder:
    return EfficientNetLiteEncoder(device="cpu")


def test_one_vector_per_image_of_any_side(encoder: EfficientNetLiteEncoder) -> None:
    for side in (128, 192, 100):
        vectors = encoder.encode(np.zeros((2, side, side, 3), np.uint8))
        assert vectors.shape == (2, encoder.dim) and vectors.dtype == np.float32
        assert vectors.min() >= 0 and vectors.max() <= 6  # the maximum of ReLU6


def test_batch_does_not_change_the_answer(encoder: EfficientNetLiteEncoder) -> None:
    images = np.random.default_rng(0).integers(0, 256, (19, 96, 96, 3), dtype=np.uint8)
    together = encoder.encode(images)  # 17 and 2
    one_by_one = np.concatenate([encoder.encode(images[i : i + 1]) for i in range(19)])
    np.testing.assert_allclose(together, one_by_one, atol=1e-3)
    assert encoder.encode(images[:0]).shape == (0, 1280)


def test_poolings_come_from_one_pass_and_are_part_of_the_version(encoder: EfficientNetLiteEncoder) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    each = encoder.encode_each(images, ["spoc", "mac", "gem"])
    np.testing.assert_array_equal(each["mac"], encoder.encode(images))
    assert np.all(each["spoc"] <= each["gem"] + 1e-5) and np.all(each["gem"] <= each["mac"] + 1e-5)
    assert EfficientNetLiteEncoder("gem", device="cpu").version != encoder.version
    with pytest.raises(ValueError, match="no pooling max; known are spoc"):
        EfficientNetLiteEncoder("max", device="cpu")


def test_the_weights_still_know_imagenet() -> None:
    # A flower of scikit-learn's own samples: right only if architecture, padding, folding and scaling all are.
    from sklearn.datasets import load_sample_image

    flower = load_sample_image("flower.jpg")[100:388, 200:488]
    weights = lite._read(lite._packaged())
    pooled = torch.from_numpy(EfficientNetLiteEncoder("spoc", device="cpu").encode(np.ascontiguousarray(flower)[None]))
    best = (pooled @ weights["_fc.weight"].T + weights["_fc.bias"]).topk(5).indices[0].tolist()
    assert 985 in best or 947 in best  # daisy; the sample is a chrysanthemum-like bloom


def test_missing_and_foreign_weights_are_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnusable, match="cannot be read"):
        EfficientNetLiteEncoder(device="cpu", weights=tmp_path / "none.pth")
    (tmp_path / "foreign.pth").write_bytes(b"not these")
    with pytest.raises(WeightsUnusable, match="not the expected ones"):
        EfficientNetLiteEncoder(device="cpu", weights=tmp_path / "foreign.pth")


@pytest.mark.parametrize(("side", "count"), [(160, 9), (101, 2)])
def test_the_graph_for_cpus_sees_what_the_network_sees(side: int, count: int) -> None:
    network, projection, p = load_parts(SHIPPED)
    images = np.random.default_rng(3).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    seen = TrademarkEncoder(device="cpu").look(images, lambda maps: maps.flatten(1))
    with torch.inference_mode():
        middle, features, vectors = _by_torch(network, projection, p, torch.device("cpu"))(images)
    for found, expected in ((seen.read, middle.flatten(1)), (seen.features, features), (seen.vectors, vectors)):
        np.testing.assert_allclose(found, expected, atol=2e-4)
    assert np.abs(vectors).mean() > 0.1


@pytest.mark.gpu
def test_gpu_and_cpu_agree_within_rounding(encoder: EfficientNetLiteEncoder) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    images = np.random.default_rng(1).integers(0, 256, (8, 192, 192, 3), dtype=np.uint8)
    on_gpu = EfficientNetLiteEncoder(device="cuda").encode(images)
    np.testing.assert_allclose(encoder.encode(images), on_gpu, atol=2e-2)
