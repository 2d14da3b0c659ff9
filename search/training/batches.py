"""Which marks make a batch: pairs of relatives, of all kinds of families, with look-alike families together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.training.dataset import KINDS, TrainingMarks
from search.training.loop import Drawn

_AROUND = 16
"""Families of one neighbourhood in a batch, at most: larger ones hold families that are easily told apart."""


class PairSampler:
    """Draws batches. shares: kind -> share of the pairs; a mark alone is paired with itself (two drawings of it
    differ by their augmentation). hard: share of a batch taken from the neighbourhoods of a few families."""

    def __init__(self, marks: TrainingMarks, shares: Mapping[str, float], *, pairs: int, hard: float) -> None:
        self.pairs, self.hard = pairs, hard
        members = marks.members()
        kinds = {number: KINDS[marks.kinds[rows[0]]] for number, rows in members.items()}
        alone = np.flatnonzero(marks.kinds == KINDS.index("alone"))
        first = int(marks.families.max()) + 1
        singles = {first + i: np.array([row, row]) for i, row in enumerate(alone)}
        self._members: dict[int, NDArray[np.int64]] = {**members, **singles}
        self._by_kind = {
            kind: np.array([n for n in members if kinds[n] == kind] if kind != "alone" else list(singles), np.int64)
            for kind in shares
        }
        present = {kind: share for kind, share in shares.items() if share > 0 and len(self._by_kind[kind])}
        if not present:
            raise ValueError("The training data has none of the kinds of families that the recipe asks for.")
        total = sum(present.values())
        self._shares = {kind: share / total for kind, share in present.items()}
        self._count = sum(len(self._by_kind[kind]) for kind in self._shares)

    def draw(self, rng: np.random.Generator, bank: Bank | None = None) -> Drawn:
        """One batch of `pairs` different families, the two marks of each adjacent.

        bank: where families lie; None draws evenly.
        """
        hard = self._neighbourhoods(rng, bank, round(self.pairs * self.hard)) if bank is not None else []
        chosen = dict.fromkeys(hard)
        wanted = min(self.pairs, self._count)
        while len(chosen) < wanted:
            chosen.update(dict.fromkeys(self._by_shares(rng, wanted - len(chosen))))
        rows = []
        for number in chosen:
            members = self._members[number]
            one, step = int(rng.integers(len(members))), int(rng.integers(1, len(members)))
            rows += [int(members[one]), int(members[(one + step) % len(members)])]
        return Drawn(np.array(rows), np.repeat(np.array(list(chosen)), 2))

    def _by_shares(self, rng: np.random.Generator, count: int) -> list[int]:
        """Families of all kinds in their shares; one may come twice."""
        kinds = rng.choice(len(self._shares), count, p=list(self._shares.values()))
        of_kind = [self._by_kind[kind] for kind in self._shares]
        return [int(of_kind[kind][rng.integers(len(of_kind[kind]))]) for kind in kinds.tolist()]

    def _neighbourhoods(self, rng: np.random.Generator, bank: Bank, count: int) -> list[int]:
        """Families around a few seeds: the strangers that are hardest to tell apart."""
        numbers, centres = bank.centres()
        if len(numbers) < 4 * self.pairs or not count:
            return []
        around = max(2, min(_AROUND, 1 + count // 4))
        found: dict[int, None] = {}
        while len(found) < count:
            drawn = torch.tensor(self._by_shares(rng, 1 + (count - len(found)) // around), device=numbers.device)
            at = torch.searchsorted(numbers, drawn).clamp(max=len(numbers) - 1)
            seeds = at[numbers[at] == drawn]
            near = (centres[seeds] @ centres.T).topk(around).indices
            found.update(dict.fromkeys(numbers[near.flatten()].tolist()))
        return list(found)[:count]


class Bank:
    """Where each family was last seen: a running mean of the vectors of its members."""

    def __init__(self) -> None:
        self._numbers = torch.zeros(0, dtype=torch.long)  # sorted
        self._centres = torch.zeros(0, 0)

    def update(self, families: Tensor, vectors: Tensor) -> None:
        """families: (n,); vectors: (n, d) unit rows. The marks of one family count together."""
        seen, of = torch.unique(families, return_inverse=True)
        mean = torch.zeros(len(seen), vectors.shape[1], device=vectors.device).index_add_(0, of, vectors.float())
        mean = torch.nn.functional.normalize(mean, dim=1)
        if not len(self._numbers):
            self._numbers, self._centres = seen, mean
            return
        at = torch.searchsorted(self._numbers, seen).clamp(max=len(self._numbers) - 1)
        known = self._numbers[at] == seen
        self._centres[at[known]] = torch.nn.functional.normalize(self._centres[at[known]] + mean[known], dim=1)
        if not known.all():
            numbers = torch.cat([self._numbers, seen[~known]])
            order = numbers.argsort()
            self._numbers, self._centres = numbers[order], torch.cat([self._centres, mean[~known]])[order]

    def centres(self) -> tuple[Tensor, Tensor]:
        """(f,) families and their unit centres (f, d)."""
        return self._numbers, self._centres

    def state_dict(self) -> dict[str, Tensor]:
        return {"numbers": self._numbers.cpu(), "centres": self._centres.half().cpu()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._numbers, self._centres = state["numbers"], state["centres"].float()
