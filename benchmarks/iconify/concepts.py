"""What icons show, in words: the names, aliases and categories that packs give them, as phrases."""

from __future__ import annotations

import collections
import math
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.iconify.families import Member
from benchmarks.iconify.names import VARIANT_WORDS, name_words
from benchmarks.iconify.package import Pack
from benchmarks.iconify.select import BRAND_PACKS, POOL_LICENCES, WITHHELD_PACKS, pool_split, seeded

HELD_OUT_PACKS = ("twemoji", "emojione-monotone", "temaki", "ph", "fa7-solid", "streamline-freehand", "pixelarticons")
"""Never trained on, each of another hand: coloured, one-colour, map signs, outlined, solid, hand-drawn, pixelled."""

_KIN = """
emojione emojione-v1 maki fa fa-solid fa-regular fa6-solid fa6-regular fa7-regular la streamline-freehand-color
famicons openmoji
"""
KIN_PACKS = frozenset(_KIN.split())
"""Of the same hand as a held-out pack, or much like one: neither trained on nor measured."""

# Packs about screens and code, letters and flags: their names say little of what is drawn.
_SCREENS = """
iconmind keyline-icons bpmn gcp k8s material-icon-theme codicon catppuccin file-icons vscode-icons svg-spinners
bitcoin-icons flag cif circle-flags flagpack geo dinkie-icons glyphs-poly iwwa devicon-line devicon-original
"""
_SCREEN_PACKS = frozenset(_SCREENS.split())

# Words that tell one drawing of a thing from another, wherever they stand in a name.
_ALWAYS_TEXT = """
outline outlined filled fill rounded sharp solid twotone duotone duo tone icon icons linear regular thin
alt negative remix stroke strong poly px rtl ltr variant simple minimalistic broken baseline ui
"""
_ALWAYS = frozenset(_ALWAYS_TEXT.split())
_COUNTS = frozenset({"one", "two", "three", "four", "five", "six"})  # "setting two" is the second drawing of a setting
# Words of screens: a name that holds one shows no thing that a mark would show.
_SCREEN_WORDS_TEXT = """
align chevron caret cursor layout sort indent wrap kerning scroll collapse expand ascending descending
breakpoint kanban api html css json sql sdk url checkbox dropdown tab tabs toolbar sidebar navbar panel viewport
skin keycap regional indicator oclock thirty justify margin padding valign border columns
git diff lte hdr iso fps numeric letter alpha digit uppercase lowercase subscript superscript
"""
_SCREEN_WORDS = frozenset(_SCREEN_WORDS_TEXT.split())
# Packs that draw things rather than screens: their marks are chosen first.
_RICH = """
game-icons noto noto-v1 fluent-emoji fluent-emoji-high-contrast fxemoji pinhead icon-park-outline icon-park-solid
healthicons streamline-emojis streamline-kameleon-color streamline-stickies-color roentgen osmic icons8 medical-icon
"""
_RICH_PACKS = frozenset(_RICH.split())
_RICH_WEIGHT = 5.0
# Words that are in many names and name no thing that one could look for.
_NO_THINGS_TEXT = """
with and the for from off not non all add plus minus slash check cross remove edit new left right down top
bottom front back side open closed close small large big medium little high low half full empty one two three
four five six seven eight nine ten first second more less multiple double single split quarter on in out up
over under between around into through horizontal vertical diagonal action actions type types button status
settings setting other others set via use using app apps view page content data list item items forward
backward next previous away into per don does did very pointing facing wearing holding being man woman men
women person people variation
"""
_NO_THINGS = frozenset(_NO_THINGS_TEXT.split())
_MORE_THINGS = 7  # words in a name beyond which it is a list of tags


@dataclass(frozen=True)
class Concept:
    """One icon and what it is said to show. phrases[0] is its own name; aliases follow. category: "" or one phrase."""

    member: Member
    phrases: tuple[str, ...]
    category: str

    @property
    def name(self) -> str:
        return self.phrases[0]


def phrase_of(icon: str) -> str:
    """An icon's name as words: `tiger-face` gives "tiger face", `coffee-outline-24` "coffee"; "" when none is left.

    Words of style go from either end of a name, and from its middle where they can mean nothing else ("light bulb"
    keeps its light, "bulb light" does not).
    """
    words = [w for w in name_words(icon) if w.isalpha() and w not in _ALWAYS and (len(w) > 1 or w in "aeio")]
    while len(words) > 1 and words[-1] in VARIANT_WORDS | _COUNTS:
        words.pop()
    while len(words) > 1 and words[0] in VARIANT_WORDS - {"light", "black", "white", "bold", "round", "box", "old"}:
        words.pop(0)
    return " ".join(words)


def telling_words(phrase: str) -> list[str]:
    """The words of a phrase that could be looked for."""
    return [word for word in phrase.split() if len(word) > 2 and word not in _NO_THINGS]


def tag_of(category: str) -> str:
    """A pack's category as a phrase: "FoodDrink" and "Food & Drink" give "food drink"."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", category)
    return " ".join(re.findall(r"[a-z]+", parted.lower()))


def concepts_of(pack: Pack, reserved: Container[Member], *, every: bool = False) -> list[Concept]:
    """The icons of a pack whose names say what they show, a plain and a filled drawing for each name at most; `every`
    drawing when asked. Only of the `train` split, and none that is reserved.
    """
    kept: dict[str, Concept] = {}
    for icon in sorted(pack.icons, key=lambda name: (len(name), name)):
        member = (pack.prefix, icon)
        tag = tag_of(pack.categories.get(icon, ""))
        name = phrase_of(icon).removeprefix(f"{tag} ")
        if pack.icons[icon].get("hidden") or member in reserved or not _shows_a_thing(icon, name):
            continue
        if pool_split(icon) != "train":
            continue
        others = [p for alias in pack.aliases.get(icon, ()) if (p := phrase_of(alias)) and _shows_a_thing(alias, p)]
        phrases = tuple(dict.fromkeys([name, *others]))
        # The shortest icon of one name is the plain drawing; a filled one is another drawing worth having.
        style = "fill" if re.search(r"-(fill|filled|solid|bold)$", icon) else ""
        kept.setdefault(icon if every else f"{name}/{style}", Concept(member, phrases[:5], tag))
    return list(kept.values())


def _shows_a_thing(icon: str, name: str) -> bool:
    words = name.split()
    if not words or len(words) > _MORE_THINGS or len(name) < 3 or icon.startswith(("flag-", "folder-", "default-")):
        return False
    return "logo" not in icon and not _SCREEN_WORDS.intersection(words)


def permitted(pack: Pack) -> bool:
    """Whether a pack may be trained on or measured with, and has names worth it."""
    out = pack.prefix in WITHHELD_PACKS or pack.prefix in BRAND_PACKS or pack.prefix in _SCREEN_PACKS
    return not out and pack.licence in POOL_LICENCES


def choose(found: Iterable[Concept], *, most: int, per_name: int, per_word: int, per_pack: int) -> list[Concept]:
    """Up to `most` concepts in seeded order: several drawings of each name but at most `per_name`, at most `per_word`
    names that begin or end alike ("arrow ..."), at most `per_pack` of one hand (four times as many of a pack that
    draws things rather than screens).
    """
    names: collections.Counter[str] = collections.Counter()
    words: collections.Counter[str] = collections.Counter()
    packs: collections.Counter[str] = collections.Counter()
    chosen: list[Concept] = []
    for concept in sorted(found, key=_turn):
        prefix = concept.member[0]
        ends = {concept.name.split()[0], concept.name.split()[-1]}
        full = any(words[word] >= per_word for word in ends)
        if full or names[concept.name] >= per_name or packs[prefix] >= per_pack * (4 if prefix in _RICH_PACKS else 1):
            continue
        names[concept.name] += 1
        words.update(ends)
        packs[prefix] += 1
        chosen.append(concept)
        if len(chosen) == most:
            break
    return chosen


def _turn(concept: Concept) -> float:
    """When a concept's turn comes: a weighted draw without replacement (Efraimidis & Spirakis 2006)."""
    share = (seeded("concepts", *concept.member) + 1) / 2**64
    return -math.log(share) / (_RICH_WEIGHT if concept.member[0] in _RICH_PACKS else 1.0)


def concept_words(found: Sequence[Concept], *, most: int, least: int = 3) -> list[str]:
    """Up to `most` words that name things, each in the names of `least` marks and of two packs or more."""
    marks: collections.Counter[str] = collections.Counter()
    packs: dict[str, set[str]] = collections.defaultdict(set)
    for concept in found:
        for word in set(concept.name.split()):
            marks[word] += 1
            packs[word].add(concept.member[0])
    known = [w for w in marks if marks[w] >= least and len(packs[w]) >= 2 and len(w) > 2 and w not in _NO_THINGS]
    return sorted(known, key=lambda word: seeded("concept word", word))[:most]


def choose_held_out(found: Sequence[Concept], words: Sequence[str], *, most: int, per_word: int) -> list[Concept]:
    """The marks to measure on: up to `per_word` for each word, then others until there are `most`."""
    order = sorted(found, key=lambda c: seeded("held out", *c.member))
    left = dict.fromkeys(words, per_word)
    chosen: dict[Member, Concept] = {}
    for concept in order:
        wanted = [word for word in set(concept.name.split()) if left.get(word, 0) > 0]
        if wanted and len(chosen) < most:
            chosen[concept.member] = concept
            for word in wanted:
                left[word] -= 1
    for concept in order:
        if len(chosen) == most:
            break
        chosen.setdefault(concept.member, concept)
    return sorted(chosen.values(), key=lambda c: c.member)
