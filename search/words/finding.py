"""Marks by name, sound, owner or number: the database proposes, `match` judges, the best come first."""

from dataclasses import dataclass

from search.errors import Refused
from search.models import Mark
from search.retrieval.filtering import MetadataColumns
from search.retrieval.records import Filters
from search.words import index
from search.words.match import NUMBER, OWNER, PART_OF_NUMBER, Near, Query, excluded, near, read
from search.words.normalise import LONGEST, plain

_ALIKE = 400
"""Candidates by shared trigrams, of the spelling and of the sound each."""
_HOLDING = 300
_OWNER, _NUMBER, _PART_OF_NUMBER = 0.66, 1.0, 0.7
_LEAST_OF_A_NUMBER = 4  # characters by which a part of one is looked for


@dataclass(frozen=True)
class Found:
    """query: as it was read. hits: the nearest marks, best first, with how near each is."""

    query: Query
    hits: list[tuple[Mark, Near]]


def words_find(*, text: str, filters: Filters, top: int) -> Found:
    """What is near what was typed, strangers left out. Refused when nothing or far too much was typed."""
    if not text.strip():
        raise Refused("Type a name, an owner or a number.")
    if len(text) > LONGEST:
        raise Refused(f"That is longer than {LONGEST} letters. Type the telling part of the name.")
    query = read(text)
    if not query.readable:
        return Found(query, [])
    marks = list(Mark.objects.filter(pk__in=candidates(query)).order_by("pk"))
    passes = MetadataColumns.of([mark.record for mark in marks]).mask(filters)
    marks = [mark for row, mark in enumerate(marks) if passes is None or passes[row]]
    marks = [mark for mark in marks if not (query.without and excluded(query, mark.spelled))]
    judged = near(query, [mark.spelled for mark in marks], [mark.sounds for mark in marks])
    hits = [(mark, _with_records(query, mark, one)) for mark, one in zip(marks, judged, strict=True)]
    hits = [hit for hit in hits if hit[1].ways]
    hits.sort(key=lambda hit: (-hit[1].score, hit[0].name, hit[0].number))
    return Found(query, hits[:top])


def candidates(query: Query) -> set[int]:
    """Rows that may be near: identical, beginning with it, holding it, spelled or sounding alike; owner and number."""
    found: set[int] = set()
    for form in query.forms:
        found |= set(index.holding("spelled", f"|{form}|", _HOLDING))
        if len(form) > 1:
            found |= set(index.holding("spelled", f"|{form}", _HOLDING))
        if len(form) > 3:
            found |= set(index.holding("spelled", form, _HOLDING))
    for key in query.sounds:
        found |= set(index.holding("sounds", f"|{key}|", _HOLDING))
    together = [form.replace(" ", "") for form in query.forms]
    found |= set(index.sharing("spelled", list(dict.fromkeys([*query.forms, *together])), _ALIKE))
    found |= set(index.sharing("sounds", query.sounds, _ALIKE))
    owner = _owner(query)
    if len(owner) > 2:
        found |= set(index.holding("owner_spelled", owner, _HOLDING))
    if query.number:
        found |= set(index.holding("numbers", f"|{query.number}|", _HOLDING))
        if len(query.number) >= _LEAST_OF_A_NUMBER:
            found |= set(index.holding("numbers", query.number, _HOLDING))
    return found


def _with_records(query: Query, mark: Mark, judged: Near) -> Near:
    """What the number and the owner say, besides the name."""
    score, ways = judged.score, list(judged.ways)
    owner = _owner(query)
    if len(owner) > 2 and f" {owner} " in f" {mark.owner_spelled.replace('|', ' ')} ":
        score, ways = max(score, _OWNER), [*ways, OWNER]
    if query.number and f"|{query.number}|" in mark.numbers:
        score, ways = max(score, _NUMBER), [NUMBER, *ways]
    elif len(query.number) >= _LEAST_OF_A_NUMBER and query.number in mark.numbers:
        score, ways = max(score, _PART_OF_NUMBER), [PART_OF_NUMBER, *ways]
    return Near(score, tuple(ways))


def _owner(query: Query) -> str:
    return plain(query.text)
