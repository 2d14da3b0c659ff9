"""The network that is trained: what is frozen, what even rows change, what ships."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrize

from search.retrieval.encoders.trademark import TrademarkEncoder
from search.training.export import save_encoder
from search.training.network import TrademarkNetwork, even_rows, plain, vectors_of, whiten_projection
from tests.search.training.conftest import shape


@pytest.fixture(scope="module")
def network() -> TrademarkNetwork:
    torch.manual_seed(0)
    return TrademarkNetwork(dim=16).eval()


PICTURES = np.stack([shape(kind, 24) for kind in range(8)])


def test_vectors_are_unit_rows(network: TrademarkNetwork) -> None:
    found = vectors_of(network, PICTURES)
    assert found.shape == (8, 16)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(8), abs=1e-5)


def test_early_and_late_together_are_the_whole(network: TrademarkNetwork) -> None:
    pixels = torch.from_numpy(PICTURES)
    with torch.no_grad():
        whole, parted = network(pixels), network.late(network.early(pixels, 5), 5)
    assert torch.allclose(whole, parted, atol=1e-5)


def test_even_rows_change_no_output_and_come_off_again() -> None:
    torch.manual_seed(1)
    network = TrademarkNetwork(dim=16).eval()
    before = vectors_of(network, PICTURES)
    even_rows(network.backbone)
    assert vectors_of(network, PICTURES) == pytest.approx(before, abs=1e-4)
    raw = network.backbone.stem.parametrizations.weight.original  # type: ignore[union-attr]
    assert raw.flatten(1).pow(2).mean(dim=1).sqrt().detach().numpy() == pytest.approx(np.full(32, 0.1), rel=1e-4)
    found = plain(network)
    assert not parametrize.is_parametrized(found.backbone.stem)
    assert vectors_of(found, PICTURES) == pytest.approx(before, abs=1e-4)
    assert vectors_of(network, PICTURES) == pytest.approx(before, abs=1e-4), "the original still works"


def test_frozen_blocks_get_no_gradient() -> None:
    network = TrademarkNetwork(dim=16)
    network.freeze(2)
    network(torch.from_numpy(PICTURES[:2])).sum().backward()
    assert network.backbone.stem.weight.grad is None
    assert all(p.grad is None for p in network.backbone.blocks[1].parameters())
    assert all(p.grad is not None for p in network.backbone.blocks[2].parameters())


def test_a_whitened_projection_spreads_the_vectors() -> None:
    torch.manual_seed(2)
    network = TrademarkNetwork(dim=4).eval()
    pictures = np.stack([shape(kind, size) for kind in range(8) for size in (16, 20, 24)])
    before = vectors_of(network, pictures)
    whiten_projection(network, pictures)
    after = vectors_of(network, pictures)
    assert abs((after @ after.T).mean()) < 0.2 < abs((before @ before.T).mean())


def test_what_is_exported_describes_as_what_was_trained(network: TrademarkNetwork, tmp_path) -> None:
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, network.backbone, network.projection, p=3.0, metadata={}, precision="float32")
    images = np.repeat(PICTURES[..., None], 3, axis=3)
    found = TrademarkEncoder(device="cpu", weights=path).encode(images)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    assert found == pytest.approx(vectors_of(network, PICTURES), abs=1e-4)
