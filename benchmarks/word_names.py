"""Names for benchmarks/words.py: brands' names, what copyists make of them, and made names that look like brands."""

from __future__ import annotations

import random
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from benchmarks.iconify.families import load_families, load_reserved
from benchmarks.iconify.names import VARIANT_WORDS, name_words
from benchmarks.iconify.select import WITHHELD_PACKS

_RESPELLED = (
    ("ph", "f"), ("qu", "kw"), ("ck", "k"), ("x", "ks"), ("c", "k"), ("s", "z"), ("y", "i"), ("ee", "ea"), ("f", "ph"),
    ("k", "c"), ("oo", "u"), ("v", "w"), ("j", "y"), ("th", "t"), ("i", "y"), ("t", "tt"),
)  # fmt: skip
_CYRILLIC = dict(zip("abcdefghijklmnopqrstuvwxyz", "абкдефгхижклмнопкрстуввксз", strict=True))
_GREEK = dict(zip("abcdefghijklmnopqrstuvwxyz", "αβκδεφγηιζκλμνοπκρστυββξυζ", strict=True))
_LOOK_ALIKE = {"a": "а", "c": "с", "e": "е", "o": "о", "p": "р", "x": "х", "y": "у", "i": "і"}
_DIGITS = (("for", "4"), ("ate", "8"), ("to", "2"), ("o", "0"), ("e", "3"), ("i", "1"), ("a", "4"), ("s", "5"))
_ADDED = (
    "The {}",
    "{} Group",
    "{} GmbH",
    "{} Studio",
    "My {}",
    "{} Pro",
    "{} & Co. Ltd",
    "Maison {}",
    "{} Cafe",
    "New {} Line",
)
_START, _END = "^^", "$"


def brands(split: str) -> list[str]:
    """One name of each family of a split, as words; those of `final` and of the packs kept for acceptance left out."""
    reserved, found = load_reserved(), []
    for _, members in load_families()[split].groups.values():
        words = [
            [word for word in name_words(icon) if word not in VARIANT_WORDS]
            for pack, icon in members
            if pack not in WITHHELD_PACKS and (pack, icon) not in reserved
        ]
        longest = max(words, key=len, default=[])
        if sum(map(len, longest)) >= 4:
            found.append(" ".join(longest).title())
    return sorted(set(found))


def _respelled(name: str, chance: random.Random) -> str:
    changed = name.lower()
    fits = [pair for pair in _RESPELLED if pair[0] in changed]
    for old, new in chance.sample(fits, min(2, len(fits))):
        changed = changed.replace(old, new, 1)
    return changed


def _misspelled(name: str, chance: random.Random) -> str:
    letters = list(name)
    for _ in range(1 if len(name) < 7 else 2):
        at = chance.randrange(1, len(letters) - 1)
        kind = chance.choice(["drop", "double", "swap", "other"])
        if kind == "drop":
            del letters[at]
        elif kind == "double":
            letters.insert(at, letters[at])
        elif kind == "swap":
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        else:
            letters[at] = chance.choice("aeiourstln")
    return "".join(letters)


def _transliterated(name: str, chance: random.Random) -> str:
    table = chance.choice((_CYRILLIC, _GREEK))
    return "".join(table.get(letter, letter) for letter in name.lower())


def _disguised(name: str, chance: random.Random) -> str:
    return "".join(_LOOK_ALIKE.get(letter, letter) if chance.random() < 0.6 else letter for letter in name.lower())


def _digits(name: str, chance: random.Random) -> str:
    fits = [pair for pair in _DIGITS if pair[0] in name.lower()[1:]]
    old, new = chance.choice(fits) if fits else (" ", "-")
    return name[0] + name.lower()[1:].replace(old, new, 1)


def _added(name: str, chance: random.Random) -> str:
    return chance.choice(_ADDED).format(name)


TRANSFORMATIONS: dict[str, Callable[[str, random.Random], str]] = {
    "respelled": _respelled, "misspelled": _misspelled, "other script": _transliterated,
    "look-alike letters": _disguised, "digits": _digits, "added words": _added,
}  # fmt: skip


def variants(name: str, seed: int) -> dict[str, str]:
    """What each transformation makes of a name; those that change nothing are left out."""
    chance = random.Random(f"{seed} {name}")
    made = {kind: change(name, chance) for kind, change in TRANSFORMATIONS.items()}
    return {kind: variant for kind, variant in made.items() if _folded(variant) != _folded(name)}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKD", name).casefold()


def made_names(known: Sequence[str], seed: int) -> Iterator[str]:
    """Endless names of one to three words, letter by letter as in the known ones (two letters tell the next)."""
    chance = random.Random(seed)
    after: dict[str, list[str]] = defaultdict(list)
    for word in (word.lower() for name in known for word in name.split()):
        text = f"{_START}{word}{_END}"
        for at in range(len(text) - 2):
            after[text[at : at + 2]].append(text[at + 2])
    vocabulary = [_word(after, chance) for _ in range(60_000)]
    while True:
        count = chance.choice((1, 1, 1, 2, 2, 3))
        words = [chance.choice(vocabulary) if chance.random() < 0.6 else _word(after, chance) for _ in range(count)]
        yield " ".join(words).title()


def _word(after: dict[str, list[str]], chance: random.Random) -> str:
    while True:
        text = _START
        while not text.endswith(_END) and len(text) < 16:
            text += chance.choice(after[text[-2:]])
        word = text.strip(_START + _END)
        if len(word) > 2:
            return word
