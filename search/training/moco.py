"""MoCo v2 (He et al., CVPR 2020; Chen et al., 2020) with the terms of Hu et al.: written from the papers."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from search.training.losses import THRESHOLD, co2, info_nce, koleo


class MoCo(nn.Module):
    """A query encoder learns by gradient, its slow copy gives the keys, a queue of past keys gives the negatives.

    `query` maps pixels (n, c, h, w) to unit vectors (n, query.outputs). Shuffled BN on one device: both batches are
    normalised in `sub_batches` parts as on as many devices, the keys' parts drawn at random, so that a query and its
    key cannot be matched by the statistics of their batch; `sub_batches` 1 switches it off (no parts, no shuffle).
    `threshold` None, `co2_weight` 0 and `koleo_weight` 0 switch those parts off: plain MoCo v2.
    Everything that goes on after a restart (both encoders, queue, its position) is in `state_dict`; the shuffle
    draws from torch's global generator, whose state the trainer keeps.
    """

    queue: Tensor
    position: Tensor

    def __init__(
        self,
        query: nn.Module,
        *,
        outputs: int = 128,
        queue: int = 65_536,
        momentum: float = 0.999,
        temperature: float = 0.2,
        threshold: float | None = THRESHOLD,
        co2_weight: float = 0.02,
        co2_temperature: float = 0.05,
        koleo_weight: float = 0.05,
        sub_batches: int = 8,
    ) -> None:
        super().__init__()
        if not 0 <= momentum <= 1 or queue < 1 or sub_batches < 1:
            raise ValueError("need a momentum in [0, 1], a queue and sub_batches of at least 1")
        self.query = query
        self.key = copy.deepcopy(query).requires_grad_(False)
        self.momentum, self.temperature, self.threshold = momentum, temperature, threshold
        self.co2_weight, self.co2_temperature, self.koleo_weight = co2_weight, co2_temperature, koleo_weight
        self.sub_batches = sub_batches
        self.register_buffer("queue", normalize(torch.randn(queue, outputs), dim=1))
        self.register_buffer("position", torch.zeros((), dtype=torch.long))
        self._keys: Tensor | None = None

    def step(self, images_q: Tensor, images_k: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Loss of one batch and its figures; two views (n, c, h, w) of the same n marks, in the same order.

        Figures: loss, nce, co2, koleo (unweighted; 0.0 where off), positive (mean cosine of query and key), kept
        (mean number of negatives kept) and kept_near (their share above cosine 0.9: likely false negatives).
        After backward and the optimizer's step, call `after_step`.
        """
        q = torch.cat([self.query(part) for part in images_q.chunk(self.sub_batches)])
        k = self._encode_keys(images_k)
        nce = info_nce(q, k, self.queue, temperature=self.temperature, threshold=self.threshold)
        zero = nce.loss.new_zeros(())
        consistency = (
            co2(q, k, self.queue, kept=nce.kept, temperature=self.co2_temperature) if self.co2_weight else zero
        )
        spread = koleo(q) if self.koleo_weight else zero
        loss = nce.loss + self.co2_weight * consistency + self.koleo_weight * spread
        self._keys = k
        names = ("loss", "nce", "co2", "koleo", "positive", "kept", "kept_near")
        values = (loss, nce.loss, consistency, spread, (q * k).sum(1).mean(), nce.kept_mean, nce.kept_near)
        # One transfer from the device for all of them.
        return loss, dict(zip(names, torch.stack([v.detach() for v in values]).tolist(), strict=True))

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the key encoder a step towards the query encoder (Eq 1) and put the last keys into the queue.

        Running statistics of batch norm are not averaged: the key encoder has its own.
        """
        for slow, fast in zip(self.key.parameters(), self.query.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.momentum)
        if self._keys is not None:
            self._enqueue(self._keys)
            self._keys = None

    @torch.no_grad()
    def _encode_keys(self, images: Tensor) -> Tensor:
        """Unit keys (n, d), normalised in random parts of the batch."""
        if self.sub_batches == 1:
            keys: Tensor = self.key(images)
            return keys
        order = torch.randperm(len(images)).to(images.device)
        shuffled = torch.cat([self.key(part) for part in images[order].chunk(self.sub_batches)])
        return shuffled[order.argsort()]

    def _enqueue(self, keys: Tensor) -> None:
        """The oldest entries give way; of a batch longer than the queue the last ones stay."""
        size = len(self.queue)
        kept = keys[-size:]
        places = (self.position + len(keys) - len(kept) + torch.arange(len(kept), device=keys.device)) % size
        self.queue[places] = kept.to(self.queue.dtype)
        self.position.copy_((self.position + len(keys)) % size)
