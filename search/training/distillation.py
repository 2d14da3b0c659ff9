"""From a larger encoder to a smaller one: the smaller learns which marks of a batch lie near each other."""

from __future__ import annotations

import torch
from torch import Tensor


def similarity_distillation(student: Tensor, teacher: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Mean over marks of KL(P || Q), P and Q the softmax of the teacher's and the student's cosines to the others.

    Relations, not vectors, so the two may have different dimensions (relational distillation: Park et al., CVPR
    2019; the softmax form: Fang et al., SEED, ICLR 2021). student: (n, d), teacher: (n, e), unit rows; n >= 3,
    since with one other mark every distribution is the same. Raises ValueError otherwise.
    """
    if len(student) != len(teacher) or len(student) < 3:
        raise ValueError("Distillation compares at least three marks, the same ones on both sides.")
    own = torch.eye(len(student), dtype=torch.bool, device=student.device)

    def relations(vectors: Tensor) -> Tensor:
        sims = vectors.float() @ vectors.float().T / temperature
        return torch.log_softmax(sims.masked_fill(own, -torch.inf), dim=1)[~own].view(len(vectors), -1)

    p, q = relations(teacher.detach()), relations(student)
    return (p.exp() * (p - q)).sum(dim=1).mean()
