"""Names compared with what somebody typed: how near each is, from 0 to 1, and in which ways it is near."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from search.words.normalise import forms, number_key, plain
from search.words.sound import sounds

SAME, BEGINS, PART, HOLDS = "same name", "begins with it", "part of the name", "part of what you typed"
SPELLED, SOUNDS, NUMBER, OWNER = "spelled alike", "sounds like", "same number", "its owner"
PART_OF_NUMBER = "part of the number"

ALIKE = 0.70
"""From where a spelling is alike (the cut of DarwinGSE's text search, as read)."""
SOUNDS_ALIKE = 0.80
_SHORT = 3  # letters: among so few, one other letter makes another name unless the rest stays in its place
_WHOLE_WORDS, _LETTERS, _MOST_HELD = 0.8, 0.6, 0.98  # scores; chosen on `train` families (benchmarks/words.py)
_VOWELS = str.maketrans("", "", "AEIOUYW")


@dataclass(frozen=True)
class Query:
    """What was typed, as it is compared.

    number: "" when no digit is in it; without: plain words that a name may not have.
    """

    text: str
    forms: tuple[str, ...]
    sounds: tuple[str, ...]
    number: str
    without: tuple[str, ...]

    @property
    def readable(self) -> bool:
        return bool(self.forms or self.number)


@dataclass(frozen=True)
class Near:
    """score: 0 to 1; ways: how it is near, the most telling first; empty where it is a stranger."""

    score: float
    ways: tuple[str, ...]


def read(text: str) -> Query:
    """Words that begin with a minus are those a name may not have; the others together are the name."""
    words = text.split()
    without = [plain(word[1:]) for word in words if word.startswith("-")]
    wanted = " ".join(word for word in words if not word.startswith("-"))
    number = number_key(wanted)
    return Query(
        wanted, forms(wanted), sounds(wanted), number if any(c.isdigit() for c in number) else "",
        tuple(word for word in without if word),
    )  # fmt: skip


def barred(keys: Sequence[str]) -> str:
    """Keys as a register keeps them: "|red hat inc|red hat|", so that a bar is where a key begins or ends."""
    return f"|{'|'.join(keys)}|" if keys else ""


def unbarred(kept: str) -> list[str]:
    return kept[1:-1].split("|") if kept else []


def excluded(query: Query, kept: str) -> bool:
    """Whether a name has a word that it may not have. kept: its barred forms."""
    return any(f" {word} " in f" {form} " for word in query.without for form in unbarred(kept))


def near(query: Query, spelled: Sequence[str], spoken: Sequence[str]) -> list[Near]:
    """How near each name is. spelled, spoken: its barred forms and sounds."""
    if not query.forms or not spelled:
        return [Near(0.0, ()) for _ in spelled]
    names = [unbarred(kept) or [""] for kept in spelled]
    keys = [unbarred(kept) or [""] for kept in spoken]
    letters = spelling(query.forms, names)
    voices = sound(query.sounds, keys)
    return [_judged(query, *one) for one in zip(names, letters.tolist(), voices.tolist(), strict=True)]


def spelling(asked: Sequence[str], names: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """(m,) the best match between any form of the one and any of the other: in order, in any order, without spaces."""
    flat = [form for one in names for form in one]
    in_order = _ratios(asked, flat)
    any_order = _ratios([_sorted(form) for form in asked], [_sorted(form) for form in flat])
    together = _ratios([form.replace(" ", "") for form in asked], [form.replace(" ", "") for form in flat])
    return _best(np.maximum(np.maximum(in_order, together), 0.97 * any_order), names)


def sound(asked: Sequence[str], keys: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """(m,) the best match between any reading of the one and any of the other; consonants weigh more than vowels.

    Names without a reading sound like nothing, not like each other.
    """
    if not asked:
        return np.zeros(len(keys), np.float32)
    flat = [key for one in keys for key in one]
    bare = _ratios([key.translate(_VOWELS) for key in asked], [key.translate(_VOWELS) for key in flat])
    both = 0.5 * _ratios(asked, flat) + 0.5 * bare
    both[:, [not key for key in flat]] = 0.0
    return _best(both, keys)


def _ratios(asked: Sequence[str], known: Sequence[str]) -> NDArray[np.float32]:
    """(asked, known) normalised Indel similarity, 0 to 1."""
    found: NDArray[np.float32] = process.cdist(asked, known, scorer=fuzz.ratio, dtype=np.float32, workers=1)
    return found / np.float32(100)


def _best(table: NDArray[np.float32], groups: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    starts = np.cumsum([0, *(len(group) for group in groups[:-1])])
    best: NDArray[np.float32] = np.maximum.reduceat(table.max(axis=0), starts)
    return best


def _sorted(form: str) -> str:
    return " ".join(sorted(form.split()))


def _judged(query: Query, names: Sequence[str], letters: float, voice: float) -> Near:
    ways: list[str] = []
    score = fused(letters, voice)
    if set(query.forms) & set(names):
        ways.append(SAME)
        score = 1.0 if query.forms[0] == names[0] else 0.99
    else:
        held, way = _held(query.forms, names)
        if way:
            ways.append(way)
            score = max(score, held)
    if SAME not in ways and letters >= ALIKE and _may_be_alike(query.forms[0], names[0], letters):
        ways.append(SPELLED)
    if SAME not in ways and voice >= SOUNDS_ALIKE and _may_be_alike(query.forms[0], names[0], voice):
        ways.append(SOUNDS)
    return Near(round(score, 4) if ways else 0.0, tuple(ways))


def fused(letters: float, voice: float) -> float:
    """One order of both: the better way counts, the other one decides between equals."""
    return 0.75 * max(letters, 0.97 * voice) + 0.25 * min(letters, voice)


def _held(asked: Sequence[str], names: Sequence[str]) -> tuple[float, str]:
    """The score and the way, where one begins the other or is a part of it; whole words weigh more than letters."""
    found = (0.0, "")
    for one in asked:
        for name in names:
            way = _way_held(one, name)
            if way:
                short, long = sorted((one, name), key=len)
                base = _WHOLE_WORDS if f" {short} " in f" {long} " else _LETTERS
                found = max(found, (base + (_MOST_HELD - base) * len(short) / len(long), way))
    return found


def _way_held(one: str, name: str) -> str:
    if _SHORT <= len(one) < len(name):
        return BEGINS if name.startswith(one) else PART if _is_part(one, name) else ""
    return HOLDS if _SHORT < len(name) < len(one) and f" {name} " in f" {one} " else ""


def _is_part(one: str, name: str) -> bool:
    """Whole words of it; inside a word only what is long enough not to be there by chance."""
    return f" {one} " in f" {name} " or (len(one) >= 4 and one in name)


def _may_be_alike(asked: str, name: str, likeness: float) -> bool:
    """Short names share letters by chance: they must keep their length within one letter."""
    if min(len(asked), len(name)) > _SHORT:
        return True
    return abs(len(asked) - len(name)) <= 1 and (likeness >= SOUNDS_ALIKE or asked[:1] == name[:1])
