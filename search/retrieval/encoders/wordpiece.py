"""BERT's uncased tokeniser: text to the numbers of word pieces.

Devlin et al., "BERT" (NAACL 2019), section 3; WordPiece after Schuster & Nakajima (ICASSP 2012): of each word the
longest known beginning, then the longest known continuation ("##..."), to its end.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path

_UNKNOWN, _START, _END = "[UNK]", "[CLS]", "[SEP]"
_LONGEST = 100
"""Letters of a word beyond which it is unknown."""
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPieces:
    """A vocabulary: piece -> number."""

    def __init__(self, pieces: Mapping[str, int]) -> None:
        self._pieces = pieces
        self._unknown, self._start, self._end = (pieces[mark] for mark in (_UNKNOWN, _START, _END))

    @classmethod
    def load(cls, path: Path) -> WordPieces:
        """One piece a line, numbered from 0. Raises OSError, or KeyError when it is no BERT vocabulary."""
        lines = path.read_text("utf-8").split("\n")
        return cls({piece: number for number, piece in enumerate(lines) if piece})

    def numbers(self, text: str, most: int) -> list[int]:
        """[CLS], the pieces of the text, [SEP]; cut to `most` in all."""
        found = [piece for word in words(text) for piece in self._parted(word)]
        return [self._start, *found[: most - 2], self._end]

    def _parted(self, word: str) -> list[int]:
        found: list[int] = []
        start = 0
        while start < len(word) <= _LONGEST:
            end = len(word)
            before = "##" if start else ""
            while end > start and before + word[start:end] not in self._pieces:
                end -= 1
            if end == start:
                break
            found.append(self._pieces[before + word[start:end]])
            start = end
        return found if start == len(word) else [self._unknown]


def words(text: str) -> list[str]:
    """Lower case, without accents, parted at spaces; punctuation and ideographs are words of their own."""
    pieces: list[str] = []
    for letter in unicodedata.normalize("NFD", "".join(_spaced(text)).lower()):
        if unicodedata.category(letter) == "Mn":
            continue
        pieces.append(f" {letter} " if _is_punctuation(letter) else letter)
    return "".join(pieces).split()


def _spaced(text: str) -> list[str]:
    kept = []
    for letter in text:
        code = ord(letter)
        if letter in "\t\n\r" or unicodedata.category(letter) == "Zs":
            kept.append(" ")
        elif code == 0xFFFD or unicodedata.category(letter).startswith("C"):
            continue
        else:
            kept.append(f" {letter} " if any(low <= code <= high for low, high in _IDEOGRAPHS) else letter)
    return kept


def _is_punctuation(letter: str) -> bool:
    # Every ASCII sign that is no letter, digit or space counts: "$" and "^" too, which Unicode calls symbols.
    if letter.isascii():
        return not letter.isalnum() and letter.isprintable() and letter != " "
    return unicodedata.category(letter).startswith("P")
