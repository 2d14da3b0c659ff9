"""Supervised contrastive learning on families: examiners' citations play this part in an office."""

from __future__ import annotations

import torch
from torch import Tensor


def supervised_contrastive(
    vectors: Tensor,
    families: Tensor,
    *,
    temperature: float,
    ignored: Tensor | None = None,
    subjects: Tensor | None = None,
    memory: Memory | None = None,
) -> Tensor:
    """Mean over anchors and their relatives of -log e^{s_ip/t} / (e^{s_ip/t} + sum over strangers e^{s_in/t}).

    InfoNCE with several positives, each against all strangers but not against the other positives (the "out"
    form of Khosla et al., NeurIPS 2020, with the other positives taken out of the denominator, so that a large
    family does not push its own members apart).

    vectors: (n, d) unit rows. families: (n,) numbers. ignored: bool (n, n), pairs that are neither relatives nor
    strangers (near-duplicates under another name). subjects: (n,) what each shows, negative where nobody knows:
    families of one subject are no strangers either. memory: further strangers from earlier steps.
    Raises ValueError when no two rows are of one family.
    """
    sims = vectors.float() @ vectors.float().T / temperature
    same = families[:, None] == families[None, :]
    own = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    relatives = same & ~own
    if not relatives.any():
        raise ValueError("A batch needs at least two marks of one family.")
    out = same if ignored is None else same | ignored  # a mark is of its own family: `same` holds the diagonal
    if subjects is not None:
        out = out | _one_subject(subjects, subjects)
    strangers = torch.logsumexp(sims.masked_fill(out, -torch.inf), dim=1)
    if memory is not None and len(memory):
        far = vectors.float() @ memory.vectors.T / temperature
        far = far.masked_fill(families[:, None] == memory.families[None, :], -torch.inf)
        if subjects is not None:
            far = far.masked_fill(_one_subject(subjects, memory.subjects), -torch.inf)
        strangers = torch.logaddexp(strangers, torch.logsumexp(far, dim=1))
    anchors, partners = relatives.nonzero(as_tuple=True)
    pull = sims[anchors, partners]
    losses = torch.logaddexp(pull, strangers[anchors]) - pull
    # Each anchor counts once, however many relatives it has in the batch.
    weights = 1 / relatives.sum(dim=1).clamp(min=1)[anchors]
    return (losses * weights).sum() / weights.sum()


def _one_subject(these: Tensor, those: Tensor) -> Tensor:
    return (these[:, None] == those[None, :]) & (these[:, None] >= 0)


class Memory:
    """Vectors of earlier steps as further strangers (cross-batch memory: Wang et al., CVPR 2020).

    They are a little out of date, so it fills only once the network moves slowly.
    """

    def __init__(self, size: int, dim: int) -> None:
        self.size = size
        self.vectors = torch.zeros(0, dim)
        self.families = torch.zeros(0, dtype=torch.long)
        self.subjects = torch.zeros(0, dtype=torch.long)

    def __len__(self) -> int:
        return len(self.vectors)

    def add(self, vectors: Tensor, families: Tensor, subjects: Tensor | None = None) -> None:
        """Keep the newest `size` vectors."""
        shown = torch.full_like(families, -1) if subjects is None else subjects
        self.vectors = torch.cat([self.vectors.to(vectors.device), vectors.detach().float()])[-self.size :]
        self.families = torch.cat([self.families.to(families.device), families])[-self.size :]
        self.subjects = torch.cat([self.subjects.to(families.device), shown])[-self.size :]


NEAR_DUPLICATE = 0.95
"""Correlation of two thumbnails from which the pictures are nearly the same."""


def thumbprints(pictures: Tensor) -> Tensor:
    """Unit rows (n, 256) whose products are the correlations of small thumbnails; pictures: uint8 (n, s, s)."""
    small = torch.nn.functional.adaptive_avg_pool2d(pictures.float()[:, None], 16).flatten(1)
    small = small - small.mean(dim=1, keepdim=True)
    unit: Tensor = small / small.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return unit


def near_duplicates(pictures: Tensor) -> Tensor:
    """Pairs of pictures that are nearly the same: bool (n, n).

    pictures: uint8 (n, s, s), unaltered. Two names may stand for one drawing; pushing those apart teaches noise
    (false negatives; science 2.2, warning).
    """
    prints = thumbprints(pictures)
    alike: Tensor = prints @ prints.T > NEAR_DUPLICATE
    return alike
