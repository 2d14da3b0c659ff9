"""A search that is kept with its answer: whatever serves the snapshot later must answer it as it did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

IMAGE_FILE, ANSWER_FILE = "probe.webp", "probe.json"
TOP = 10
TOLERANCE = 0.003
"""Of a score, 0..1: devices and batches round differently. Marks closer than this may change places."""

Answer = tuple[tuple[str, float], ...]
"""(mark number, score) of the best marks, best first."""


@dataclass(frozen=True)
class Probe:
    """image: an image file's bytes. answer: of a search with it under equal weights, when the snapshot was made."""

    image: bytes
    answer: Answer

    def save(self, folder: Path) -> None:
        (folder / IMAGE_FILE).write_bytes(self.image)
        (folder / ANSWER_FILE).write_text(json.dumps({"answer": self.answer}, indent=1), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Probe | None:
        """None for a snapshot that was published without one. The caller has checked the files."""
        if not (folder / ANSWER_FILE).is_file():
            return None
        answer = json.loads((folder / ANSWER_FILE).read_text("utf-8"))["answer"]
        return cls((folder / IMAGE_FILE).read_bytes(), tuple((str(n), float(score)) for n, score in answer))

    def difference(self, found: Answer) -> str:
        """What is not as it was, as a clause; "" when the answer is the kept one within rounding."""
        if len(found) != len(self.answer):
            return f"{len(found)} marks were found where {len(self.answer)} were"
        # By place: a mark may only stand where a mark of its score stood.
        for rank, ((_, before), (number, now)) in enumerate(zip(self.answer, found, strict=True), start=1):
            if not abs(before - now) <= TOLERANCE:  # not a number is a difference too
                return f"the mark at place {rank}, {number}, has {100 * now:.2f} % where it had {100 * before:.2f} %"
        # The last places may be shared with marks that were cut off, so those scores say nothing about numbers.
        safe = self.answer[-1][1] + TOLERANCE if self.answer else 0.0
        lost = _above(self.answer, safe + TOLERANCE) - {number for number, _ in found}
        return f"mark {min(lost)} is no longer found" if lost else ""


def _above(answer: Sequence[tuple[str, float]], score: float) -> set[str]:
    return {number for number, value in answer if value > score}
