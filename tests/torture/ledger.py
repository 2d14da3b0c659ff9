"""What the service has acknowledged, written down by the clients while faults happen, for the comparison at the end."""

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Ledger:
    """Every answer that promised something. What got no answer may have happened or not, and is kept apart."""

    searches: dict[str, str] = field(default_factory=dict)  # search -> examiner
    selections: dict[tuple[str, str], list[tuple[bool, bool]]] = field(default_factory=dict)
    reports: Counter[str] = field(default_factory=Counter)
    maybe_reports: Counter[str] = field(default_factory=Counter)
    promotions: dict[str, bool] = field(default_factory=dict)  # reason -> acknowledged
    runs: set[str] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, status: int, what: str, body: object) -> None:
        """Count an answer; one that blames the service itself is a defect, whatever fault was under way."""
        with self._lock:
            self.answers[status] += 1
            if status == 500:
                self.defects.append(f"{what} was answered 500: {str(body)[:200]}")

    def searched(self, search: str, examiner: str) -> None:
        with self._lock:
            self.searches[search] = examiner

    def selected(self, search: str, mark: str, value: bool, acknowledged: bool) -> None:
        with self._lock:
            self.selections.setdefault((search, mark), []).append((value, acknowledged))

    def reported(self, search: str, acknowledged: bool) -> None:
        with self._lock:
            (self.reports if acknowledged else self.maybe_reports)[search] += 1

    def promoted(self, reason: str, acknowledged: bool) -> None:
        with self._lock:
            self.promotions[reason] = acknowledged

    def fail(self, sentence: str) -> None:
        with self._lock:
            self.defects.append(sentence)
