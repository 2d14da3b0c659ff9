"""Which marks make a batch: pairs of relatives, of all kinds of families, with look-alike families together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from search.training.dataset import KINDS, TrainingMarks
from search.training.loop import Drawn


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
        self._numbers = np.concatenate([self._by_kind[kind] for kind in self._shares])

    def draw(self, rng: np.random.Generator, bank: Bank | None = None) -> Drawn:
        """One batch of `pairs` different families, the two marks of each adjacent.

        bank: where families lie; None draws evenly.
        """
        chosen: list[int] = []
        if bank is not None and self.hard > 0:
            chosen = self._neighbourhoods(rng, bank, round(self.pairs * self.hard))
        taken = set(chosen)
        while len(chosen) < min(self.pairs, len(self._numbers)):
            kind = str(rng.choice(list(self._shares), p=list(self._shares.values())))
            number = int(rng.choice(self._by_kind[kind]))
            if number not in taken:
                taken.add(number)
                chosen.append(number)
        rows = []
        for number in chosen:
            members = self._members[number]
            two = rng.choice(len(members), 2, replace=False)
            rows += [int(members[two[0]]), int(members[two[1]])]
        return Drawn(np.array(rows), np.repeat(np.array(chosen), 2))

    def _neighbourhoods(self, rng: np.random.Generator, bank: Bank, count: int) -> list[int]:
        """Families around a few seeds: the strangers that are hardest to tell apart."""
        numbers, centres = bank.centres()
        if len(numbers) < 4 * self.pairs:
            return []
        found: dict[int, None] = {}
        while len(found) < count:
            seed = int(rng.integers(len(numbers)))
            near = np.argsort(-(centres @ centres[seed]))[: max(2, 1 + count // 4)]
            found.update(dict.fromkeys(int(numbers[i]) for i in near))
        return list(found)[:count]


class Bank:
    """Where each family was last seen: a running mean of the vectors of its members."""

    def __init__(self) -> None:
        self._centres: dict[int, NDArray[np.float32]] = {}

    def update(self, families: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """families: (n,); vectors: (n, d) unit rows."""
        for family, vector in zip(families, vectors, strict=True):
            known = self._centres.get(int(family))
            mixed = vector if known is None else 0.5 * known + 0.5 * vector
            self._centres[int(family)] = mixed / max(float(np.linalg.norm(mixed)), 1e-6)

    def centres(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(f,) families and their unit centres (f, d)."""
        numbers = np.array(list(self._centres), np.int64)
        return numbers, np.array(list(self._centres.values()), np.float32)

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        numbers, centres = self.centres()
        return {"numbers": numbers, "centres": centres.astype(np.float16)}

    def load_state_dict(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        rows = zip(state["numbers"], np.asarray(state["centres"], np.float32), strict=True)
        self._centres = {int(number): centre for number, centre in rows}
