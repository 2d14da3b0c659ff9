from itertools import product

import pytest
import torch

from search.training.paper_encoder import PaperEncoder, ProjectedEncoder
from tests.search.training.tiny import TinyBackbone, noise


@pytest.mark.parametrize(("eca", "ca", "awff", "laff"), list(product([False, True], repeat=4)))
def test_every_combination_of_parts_gives_z_and_trains_every_parameter(
    eca: bool, ca: bool, awff: bool, laff: bool
) -> None:
    encoder = PaperEncoder(TinyBackbone(), eca=eca, ca=ca, awff=awff, laff=laff, channels=(5, 6, 7))
    z = encoder(noise(2, 0))
    assert z.shape == (2, 512)
    z.sum().backward()
    unused = {name for name, p in encoder.named_parameters() if p.grad is None}
    assert not unused, unused
    names = {name.split(".")[0] for name, _ in encoder.named_parameters()}
    assert ("eca" in names, "ca" in names) == (eca, ca)


def test_without_any_part_z_is_the_last_map_averaged_and_a_linear_layer() -> None:
    backbone = TinyBackbone().eval()
    encoder = PaperEncoder(backbone, eca=False, ca=False, awff=False, laff=False).eval()
    with torch.no_grad():
        expected = encoder.fusion.linear(backbone(noise(2, 1))[-1].mean((2, 3)))
        torch.testing.assert_close(encoder(noise(2, 1)), expected)


def test_each_stage_feeds_the_next_through_its_eca() -> None:
    encoder = PaperEncoder(TinyBackbone(), ca=False).eval()
    with torch.no_grad():
        before = encoder.maps(noise(1, 2))
        encoder.eca[0].conv.weight.fill_(-500.0)  # closes every gate of the first stage
        after = encoder.maps(noise(1, 2))
    assert after[0].abs().max() < 1e-3 < before[0].abs().max()
    assert not torch.allclose(before[3], after[3])


def test_coordinate_attention_is_the_fifth_map() -> None:
    encoder = PaperEncoder(TinyBackbone()).eval()
    with torch.no_grad():
        maps = encoder.maps(noise(1, 3))
        torch.testing.assert_close(maps[4], encoder.ca(maps[3]))
    assert len(maps) == 5


def test_the_papers_sizes_on_the_small_backbone() -> None:
    encoder = PaperEncoder("efficientnet-lite0").eval()
    with torch.no_grad():
        assert [m.shape[2] for m in encoder.maps(noise(1, 4, side=160))] == [40, 20, 10, 5, 5]


def test_the_projection_is_of_unit_length_and_float32() -> None:
    model = ProjectedEncoder(PaperEncoder(TinyBackbone()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        q = model(noise(3, 5))
    assert q.shape == (3, 128) and q.dtype == torch.float32
    torch.testing.assert_close(q.norm(dim=1), torch.ones(3))
