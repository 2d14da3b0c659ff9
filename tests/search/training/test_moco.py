from itertools import chain

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from search.training.came import CAME
from search.training.moco import MoCo
from search.training.paper_encoder import PaperEncoder, ProjectedEncoder
from tests.search.training.tiny import TinyBackbone, noise


class Flat(nn.Module):
    """Pixels (n, 1, 1, d) to unit vectors (n, d) through one matrix."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim, bias=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return normalize(self.linear(pixels.flatten(1)), dim=1)


def small(**options: object) -> MoCo:
    torch.manual_seed(0)
    return MoCo(Flat(4), outputs=4, **{"queue": 5, "sub_batches": 1, **options})


def views(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 1, 1, 4, generator=torch.Generator().manual_seed(seed))


def test_momentum_update_by_hand() -> None:
    moco = small(momentum=0.9)
    with torch.no_grad():
        moco.key.linear.weight.fill_(1.0)
        moco.query.linear.weight.fill_(2.0)
    moco.after_step()
    torch.testing.assert_close(moco.key.linear.weight.detach(), torch.full((4, 4), 1.1))  # 0.9 * 1 + 0.1 * 2
    moco.after_step()
    torch.testing.assert_close(moco.key.linear.weight.detach(), torch.full((4, 4), 1.19))


def test_queue_wraps_and_the_oldest_keys_give_way() -> None:
    moco = small(momentum=1.0)
    keys = [moco.key(views(3, seed)) for seed in (1, 2)]
    for seed in (1, 2):
        moco.step(views(3, seed), views(3, seed))
        moco.after_step()
    assert moco.position.item() == 1
    # Places 0, 1, 2 took the first batch, 3, 4, 0 the second.
    torch.testing.assert_close(moco.queue, torch.stack([keys[1][2], keys[0][1], keys[0][2], keys[1][0], keys[1][1]]))


def test_a_batch_longer_than_the_queue_leaves_its_last_keys() -> None:
    moco = small(momentum=1.0)
    keys = moco.key(views(7))
    moco.step(views(7), views(7))
    moco.after_step()
    assert moco.position.item() == 2
    torch.testing.assert_close(moco.queue, torch.stack([keys[5], keys[6], keys[2], keys[3], keys[4]]))


def test_keys_and_queue_get_no_gradient() -> None:
    moco = small()
    images = views(6, 1).requires_grad_()
    loss, _ = moco.step(views(6), images)
    loss.backward()
    assert moco.query.linear.weight.grad is not None
    assert moco.key.linear.weight.grad is None and images.grad is None and not moco.queue.requires_grad


def test_the_loss_is_the_weighted_sum_and_parts_can_be_off() -> None:
    loss, figures = small().step(views(6), views(6, 1))
    expected = figures["nce"] + 0.02 * figures["co2"] + 0.05 * figures["koleo"]
    assert loss.item() == pytest.approx(expected, rel=1e-5) == pytest.approx(figures["loss"], rel=1e-5)
    plain, figures = small(threshold=None, co2_weight=0, koleo_weight=0).step(views(6), views(6, 1))
    assert plain.item() == pytest.approx(figures["nce"])
    assert figures["kept"] == 5 and figures["co2"] == figures["koleo"] == 0


def test_shuffled_keys_come_back_in_their_order() -> None:
    moco = small(sub_batches=3)
    torch.testing.assert_close(moco._encode_keys(views(7)), moco.key(views(7)))


def test_keys_are_normalised_in_parts_of_the_batch() -> None:
    class Recorder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts: list[list[int]] = []

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            self.parts.append(pixels.flatten().int().tolist())
            return torch.ones(len(pixels), 2)

    torch.manual_seed(0)
    moco = MoCo(Recorder(), outputs=2, queue=4, sub_batches=4)
    images = torch.arange(16.0).view(16, 1, 1, 1)
    moco.step(images, images)
    assert moco.query.parts == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
    assert [len(part) for part in moco.key.parts] == [4] * 4
    assert sorted(chain.from_iterable(moco.key.parts)) == list(range(16)) and moco.key.parts != moco.query.parts


def test_a_few_steps_lower_the_loss() -> None:
    # Marks of which the two views share the first half; the second half, three times as loud, is different noise. Only
    # an encoder that learns to ignore it tells a key from the queue.
    torch.manual_seed(0)
    moco = MoCo(Flat(16), outputs=16, queue=64, momentum=0.9, sub_batches=2)
    optimizer = torch.optim.Adam(moco.query.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        mark, scale = torch.randn(16, 1, 1, 8), 3.0
        loss, figures = moco.step(*(torch.cat([mark, scale * torch.randn(16, 1, 1, 8)], dim=3) for _ in range(2)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        moco.after_step()
        losses.append(figures["nce"])
    assert sum(losses[-10:]) < 0.7 * sum(losses[4:14])


def test_the_papers_encoder_and_optimizer_take_a_step_in_bfloat16() -> None:
    torch.manual_seed(0)
    moco = MoCo(ProjectedEncoder(PaperEncoder(TinyBackbone(), channels=(8, 8, 8))), queue=32, sub_batches=2)
    optimizer = CAME(moco.query.parameters())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, figures = moco.step(noise(8, 0), noise(8, 1))
    before = [p.clone() for p in moco.query.parameters()]
    loss.backward()
    optimizer.step()
    moco.after_step()
    assert loss.isfinite() and set(figures) == {"loss", "nce", "co2", "koleo", "positive", "kept", "kept_near"}
    assert all(not torch.equal(a, b) for a, b in zip(before, moco.query.parameters(), strict=True))


def test_a_restored_state_goes_on_alike() -> None:
    moco = small()
    moco.step(views(3), views(3, 1))
    moco.after_step()
    other = small()
    other.load_state_dict(moco.state_dict())
    assert other.position.item() == 3
    assert other.step(views(3, 2), views(3, 3))[1] == moco.step(views(3, 2), views(3, 3))[1]


def test_senseless_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="momentum"):
        small(momentum=1.5)
