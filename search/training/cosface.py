"""CosFace (Wang et al., CVPR 2018), phase 1 of Hu et al.: a classifier of groups with a margin on the cosine."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, one_hot


class CosFace(nn.Module):
    """Cross entropy of s (cos(z, w_j) - m [j = label]), mean over the batch; w_j is a learned unit vector per class.

    z (n, dim) of any length, labels (n,) int64. s = 64 and m = 0.35 are the CosFace paper's; Hu et al. name none.
    The paper trains so on 14,715 crawled images that were never released; here the families take their place.
    """

    def __init__(self, dim: int, classes: int, *, s: float = 64.0, m: float = 0.35) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, dim))
        nn.init.xavier_uniform_(self.weight)
        self.s, self.m = s, m

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            cosines = normalize(z.float(), dim=1) @ normalize(self.weight, dim=1).T
            margin = self.m * one_hot(labels, len(self.weight))
            return cross_entropy(self.s * (cosines - margin), labels)
