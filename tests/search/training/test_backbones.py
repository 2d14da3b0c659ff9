from pathlib import Path

import numpy as np
import pytest
import torch

from search.retrieval.encoders import WeightsUnusable
from search.retrieval.encoders import efficientnet_lite as folded
from search.training.backbones import EfficientNetLite0, ResNet50, efficientnet_lite0, resnet50

SIDE = 64


@pytest.fixture(scope="module")
def lite() -> EfficientNetLite0:
    return efficientnet_lite0().eval()


@pytest.fixture(scope="module")
def resnet() -> ResNet50:
    return resnet50().eval()


@torch.no_grad()
def test_four_maps_at_strides_4_to_32(lite: EfficientNetLite0, resnet: ResNet50) -> None:
    for network in (lite, resnet):
        maps = network(torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8))
        assert [m.shape[1] for m in maps] == list(network.channels)
        assert [SIDE // m.shape[2] for m in maps] == [4, 8, 16, 32]


@torch.no_grad()
def test_unfolded_lite0_equals_the_folded_one(lite: EfficientNetLite0) -> None:
    network = folded.EfficientNetLite0().eval()
    network.load_folded(folded._read(folded._packaged()))
    for side in (96, 75):  # an odd side exercises the SAME padding
        pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, side, side), dtype=np.uint8))
        torch.testing.assert_close(lite(pixels)[-1], network((pixels.float() - 127) / 128), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_a_trained_lite0_folds_into_the_encoder_of_retrieval() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0()
    for module in network.modules():  # as if trained: no batch norm is the identity
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    shipped = folded.EfficientNetLite0().eval()
    shipped.load_folded(network.eval().state_dict())
    pixels = torch.randint(0, 256, (1, 3, SIDE, SIDE))
    torch.testing.assert_close(network(pixels)[-1], shipped((pixels.float() - 127) / 128), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_a_grey_image_is_the_same_as_its_three_channels(lite: EfficientNetLite0, resnet: ResNet50) -> None:
    grey = torch.randint(0, 256, (1, 1, SIDE, SIDE), dtype=torch.uint8)
    for network in (lite, resnet):
        torch.testing.assert_close(network(grey)[-1], network(grey.expand(-1, 3, -1, -1))[-1])


def test_resnet50_has_torchvisions_names_and_numbers(resnet: ResNet50) -> None:
    # torchvision's resnet50 has 25,557,032 parameters, 2,049,000 of them in fc.
    assert sum(p.numel() for p in resnet.parameters()) == 25_557_032 - 2_049_000
    names = set(resnet.state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.downsample.1.bias", "layer4.2.conv3.weight"} <= names
    assert len(names) == 320 - 2  # its state dict without fc


def test_resnet50_loads_a_file_and_ignores_its_classifier(tmp_path: Path, resnet: ResNet50) -> None:
    torch.save({**resnet.state_dict(), "fc.weight": torch.zeros(1000, 2048)}, tmp_path / "resnet50.pth")
    second = resnet50(tmp_path / "resnet50.pth")
    assert all(torch.equal(a, b) for a, b in zip(resnet.parameters(), second.parameters(), strict=True))


def test_unusable_files_are_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnusable, match="cannot be read"):
        resnet50(tmp_path / "none.pth")
    (tmp_path / "noise.pth").write_bytes(b"not a state dict")
    with pytest.raises(WeightsUnusable, match="cannot be read"):
        resnet50(tmp_path / "noise.pth")
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsUnusable, match="not those of EfficientNetLite0"):
        efficientnet_lite0(tmp_path / "other.pth")


def test_gradients_reach_every_parameter(lite: EfficientNetLite0) -> None:
    network = efficientnet_lite0().train()
    network(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8))[-1].sum().backward()
    assert all(p.grad is not None for p in network.parameters())
