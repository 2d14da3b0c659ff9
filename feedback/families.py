"""What examiners confirmed, as families of images to train on. Pure: plain data in, plain data out.

An examiner who keeps or adds a mark says that it is confusable with the query; one who removes it says that it is
not. Images that are linked so, over any number of searches, form a family (connected components).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["LARGEST", "Family", "Verdicts", "Word", "families_of"]

LARGEST = 30
"""Images of one family. A larger component is glued together by somebody's error, not by likeness."""
MOST_OF_ONE = 0.4
"""Of all words, how many may come from one examiner. It asks for three examiners: of two, one has half or more."""


@dataclass(frozen=True)
class Word:
    """One examiner's word on one mark in one search. query, mark: images by their SHA-256; alike: kept or added, not
    removed; added: sought out, where a mark kept may only have been left alone."""

    search: Hashable
    examiner: Hashable
    query: str
    mark: str
    alike: bool
    added: bool = False


@dataclass(frozen=True)
class Family:
    """images: SHA-256, sorted, two or more. searches, examiners: who stands behind them."""

    images: tuple[str, ...]
    searches: frozenset[Hashable]
    examiners: frozenset[Hashable]


@dataclass(frozen=True)
class Verdicts:
    """families: disjoint. strangers: (query, mark) that an examiner told apart. disputed: pairs on which searches
    disagree, which therefore say nothing. cut: components that were too large or held strangers. capped: words left
    out because one examiner had said too many of all."""

    families: tuple[Family, ...]
    strangers: tuple[tuple[str, str], ...]
    disputed: int = 0
    cut: int = 0
    capped: int = 0


def families_of(words: Sequence[Word], *, largest: int = LARGEST, most_of_one: float = MOST_OF_ONE) -> Verdicts:
    """Families and strangers. words: in the order they were said; with too many of one examiner the newest stay."""
    apart = {_pair(word) for word in words if not word.alike}
    alike = [word for word in words if word.alike and word.query != word.mark]
    disputed = apart & {_pair(word) for word in alike}
    agreed = [word for word in alike if _pair(word) not in disputed]
    kept = _capped(agreed, most_of_one)
    strangers = tuple(dict.fromkeys((w.query, w.mark) for w in words if not w.alike and _pair(w) not in disputed))
    families: list[Family] = []
    cut = 0
    for component in _components(kept):
        images = {image for word in component for image in (word.query, word.mark)}
        if len(images) <= largest and not any(a in images and b in images for a, b in strangers):
            families.append(_family(images, component))
        else:
            cut += 1
            families += _own_families(component, largest)
    ordered = tuple(sorted(families, key=lambda family: family.images))
    return Verdicts(ordered, strangers, len(disputed), cut, len(agreed) - len(kept))


def _pair(word: Word) -> frozenset[str]:
    return frozenset((word.query, word.mark))


def _capped(words: Sequence[Word], most_of_one: float) -> list[Word]:
    """The words without the oldest of examiners who said more than their share of what remains."""
    counts = Counter(word.examiner for word in words)
    if len(counts) * most_of_one < 1:
        return list(words)
    most = max(counts.values())
    while most > most_of_one * sum(min(count, most) for count in counts.values()) + 1e-9:
        most -= 1
    left = Counter({examiner: max(0, count - most) for examiner, count in counts.items()})
    kept = []
    for word in words:
        if left[word.examiner]:
            left[word.examiner] -= 1
        else:
            kept.append(word)
    return kept


def _components(words: Iterable[Word]) -> list[list[Word]]:
    """The words by connected component of their images (union-find with path halving)."""
    parent: dict[str, str] = {}

    def root(image: str) -> str:
        parent.setdefault(image, image)
        while parent[image] != image:
            parent[image] = parent[parent[image]]
            image = parent[image]
        return image

    words = list(words)
    for word in words:
        parent[root(word.query)] = root(word.mark)
    found: dict[str, list[Word]] = defaultdict(list)
    for word in words:
        found[root(word.query)].append(word)
    return list(found.values())


def _own_families(component: Sequence[Word], largest: int) -> list[Family]:
    """What each query image brings by itself. An image that several of them hold is what glued them: it stays out,
    since in one family it would be a stranger to the other."""
    by_query: dict[str, list[Word]] = defaultdict(list)
    for word in component:
        by_query[word.query].append(word)
    stars: dict[str, set[str]] = {}
    for query, own in by_query.items():
        marks = dict.fromkeys(word.mark for word in sorted(own, key=lambda word: not word.added))
        stars[query] = {query, *list(marks)[: largest - 1]}
    times: Mapping[str, int] = Counter(image for star in stars.values() for image in star)
    families = []
    for query, star in stars.items():
        images = {image for image in star if times[image] == 1}
        if len(images) > 1:
            families.append(_family(images, [w for w in by_query[query] if images & {w.query, w.mark}]))
    return families


def _family(images: Iterable[str], words: Iterable[Word]) -> Family:
    words = list(words)
    return Family(
        tuple(sorted(images)),
        frozenset(word.search for word in words),
        frozenset(word.examiner for word in words),
    )
