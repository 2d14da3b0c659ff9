"""Metadata as columns, and a filter as one mask over the rows: what the engines search inside of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from search.retrieval.records import Filters, MarkRecord

_NO_DATE = 0
"""Ordinal of a mark without filing date: earlier than any date, so a date limit leaves it out."""


@dataclass(frozen=True)
class MetadataColumns:
    """nice: uint64 (m,), bit c set for Nice class c (1..45). jurisdictions, statuses: object (m,),
    casefolded. filed: int32 (m,), ordinal of the filing date, 0 = unknown.
    """

    nice: NDArray[np.uint64]
    jurisdictions: NDArray[np.object_]
    statuses: NDArray[np.object_]
    filed: NDArray[np.int32]

    @classmethod
    def of(cls, records: Sequence[MarkRecord]) -> MetadataColumns:
        return cls(
            nice=np.array([nice_bits(r.nice) for r in records], dtype=np.uint64),
            jurisdictions=np.array([r.jurisdiction.casefold() for r in records], dtype=object),
            statuses=np.array([r.status.casefold() for r in records], dtype=object),
            filed=np.array([r.filing_date.toordinal() if r.filing_date else _NO_DATE for r in records], dtype=np.int32),
        )

    def mask(self, filters: Filters) -> NDArray[np.bool_] | None:
        """Rows that pass, (m,) bool; None when there is no limit at all."""
        if filters.empty:
            return None
        passes = np.ones(len(self.nice), dtype=bool)
        if filters.nice:
            passes &= (self.nice & np.uint64(nice_bits(filters.nice))) != 0
        if filters.jurisdictions:
            passes &= np.isin(self.jurisdictions, [j.casefold() for j in filters.jurisdictions])
        if filters.statuses:
            passes &= np.isin(self.statuses, [s.casefold() for s in filters.statuses])
        if filters.filed_from or filters.filed_to:
            first = (filters.filed_from or date.min).toordinal()
            last = (filters.filed_to or date.max).toordinal()
            passes &= (self.filed >= max(first, _NO_DATE + 1)) & (self.filed <= last)
        return passes


def nice_bits(classes: Sequence[int]) -> int:
    """Nice classes as bits. Raises ValueError for a number that is no class (1..45)."""
    bits = 0
    for number in classes:
        if not 1 <= number <= 45:
            raise ValueError(f"{number} is not a Nice class; they run from 1 to 45.")
        bits |= 1 << number
    return bits
