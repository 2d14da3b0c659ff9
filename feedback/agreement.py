"""How often two examiners who judged the same mark for the same query decided alike. Pure.

An item is one mark for one query image; m examiners who judged it make m (m - 1) / 2 pairs. Of all pairs:

    P_o = share that decided alike
    p   = share of "selected" among the members of all pairs; P_e = p^2 + (1 - p)^2, what chance would give
    kappa = (P_o - P_e) / (1 - P_e)

This is Fleiss' kappa (1971) with items weighted by their pairs: the same number where every item has as many
judges, Scott's pi (1955) where these are two. Unlike Cohen's it does not tell the examiners apart, since anybody
may meet anybody. Most marks shown are plainly no conflict, so P_o is high by itself: read it with kappa.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

__all__ = ["Agreement", "Judgement", "agreement_of"]


@dataclass(frozen=True)
class Judgement:
    """What one examiner decided about one mark for one query. changed: against the pre-selection shown."""

    query: Hashable
    mark: Hashable
    examiner: Hashable
    selected: bool
    changed: bool = False


@dataclass(frozen=True)
class Agreement:
    """Counts of pairs of judgements. disputed: pairs of which at least one examiner changed the pre-selection."""

    pairs: int = 0
    alike: int = 0
    disputed: int = 0
    disputed_alike: int = 0
    queries: int = 0
    examiners: int = 0
    chance: float = 1.0

    @property
    def share(self) -> float | None:
        """P_o, 0..1; None without any pair."""
        return self.alike / self.pairs if self.pairs else None

    @property
    def disputed_share(self) -> float | None:
        """P_o of the disputed pairs: keeping what was proposed may be mere inertia, these took a hand."""
        return self.disputed_alike / self.disputed if self.disputed else None

    @property
    def kappa(self) -> float | None:
        """-1..1, 0 as by chance; None without any pair or where everybody always decided the same."""
        if self.share is None or self.chance >= 1.0:
            return None
        return (self.share - self.chance) / (1.0 - self.chance)


def agreement_of(judgements: Iterable[Judgement]) -> Agreement:
    """Compare all pairs of examiners. Who judged a mark for a query twice counts with the last word."""
    last: dict[tuple[Hashable, Hashable], dict[Hashable, Judgement]] = {}
    for one in judgements:
        last.setdefault((one.query, one.mark), {})[one.examiner] = one
    pairs = alike = disputed = disputed_alike = 0
    chosen = 0  # members of pairs that selected; a judgement is in m - 1 pairs
    queries: set[Hashable] = set()
    examiners: set[Hashable] = set()
    for (query, _), by_examiner in last.items():
        words = list(by_examiner.values())
        if len(words) < 2:
            continue
        queries.add(query)
        examiners.update(by_examiner)
        here, here_alike = _pairs(words)
        pairs, alike = pairs + here, alike + here_alike
        kept = [word for word in words if not word.changed]
        kept_pairs, kept_alike = _pairs(kept)
        disputed, disputed_alike = disputed + here - kept_pairs, disputed_alike + here_alike - kept_alike
        chosen += (len(words) - 1) * sum(word.selected for word in words)
    share = chosen / (2 * pairs) if pairs else 0.0
    chance = share**2 + (1.0 - share) ** 2
    return Agreement(pairs, alike, disputed, disputed_alike, len(queries), len(examiners), chance)


def _pairs(words: list[Judgement]) -> tuple[int, int]:
    """How many pairs, and how many of them decided alike."""
    yes = sum(word.selected for word in words)
    no = len(words) - yes
    return len(words) * (len(words) - 1) // 2, yes * (yes - 1) // 2 + no * (no - 1) // 2
