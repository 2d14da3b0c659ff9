"""The forms in which a name is compared: without case, accents, script, signs and words that distinguish nothing.

People see the name as it was filed; these forms are for comparing only.
"""

import re
import unicodedata
from collections.abc import Callable

from anyascii import anyascii

LONGEST = 200
"""Letters of a name that are compared: as many as a register keeps."""

# Letters of other scripts that a reader takes for Latin ones; capitals and small letters of Greek look differently.
_LOOK_ALIKES = str.maketrans(
    "аАвВсСеЕёЁнНһҺіІїЇјЈкКмМоОрРѕЅтТхХуУԁԛԝѵѴьЬҮү" + "αΑΒβΕεΗηΙιΚκΜΝνΟοΡρΤτΥυΧχΖγωϲϹ",
    "aabbcceeeehhhhiiiijjkkmmooppssttxxyydqwvvbbyy" + "aabbeehniikkmnvooppttyuxxzywcc",
)
_SIGNS = {"&": " and ", "＋": " plus ", "+": " plus ", "@": " at ", "%": " percent ", "$": "s", "€": "e", "£": "l"}
_COUNTED = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"
)  # fmt: skip
_READ_AS = {"0": "o", "2": "to", "4": "for", "8": "ate"} | {str(n): _COUNTED[n] for n in (1, 3, 5, 6, 7, 9)}
_DRAWN_AS = str.maketrans("0134578", "oieastb")
_WEAK = frozenset((
    "the", "a", "an", "le", "la", "les", "un", "une", "el", "los", "las", "lo", "il", "gli", "der", "die", "das", "den",
    "dem", "de", "du", "des", "del", "della", "di", "van", "von", "and", "et", "und", "y", "e", "o",
    "inc", "incorporated", "ltd", "limited", "llc", "llp", "lp", "plc", "corp", "corporation", "co", "company", "gmbh",
    "ag", "kg", "ohg", "ug", "se", "sa", "sas", "sarl", "srl", "spa", "sl", "bv", "nv", "oy", "oyj", "ab", "as", "aps",
    "kk", "pty", "pte", "bhd", "jsc", "ooo", "zao", "com", "www", "net",
))  # fmt: skip
"""Articles, joining words and company forms: they distinguish no name."""
_UNSEEN = ("C", "So", "Sk")  # categories: control and format characters, pictures, loose accents


def plain(text: str) -> str:
    """Small Latin letters and digits in words with one space between them; "" when nothing of it can be read."""
    return _letters(_latin(text))


def forms(text: str) -> tuple[str, ...]:
    """The name as it stands, and as it is read: each form once, the plain one first; () when nothing can be read.

    Read without articles and company forms (unless there is nothing else), with digits as words ("4ever"), with
    digits as the letters they resemble ("h0tel"), and with whole words of look-alike letters as Latin ones.
    """
    whole = plain(text)
    if not whole:
        return ()
    found = [whole, as_said(whole), _map(strengthened(whole), _drawn_digits)]
    found.append(strengthened(_letters(_latin(text, alike=True))))
    return tuple(dict.fromkeys(form for form in found if form))


def strengthened(form: str) -> str:
    """A plain form without weak words; whole when it has no others: a mark may be called CO, or THE."""
    return " ".join(word for word in form.split() if word not in _WEAK) or form


def as_said(form: str) -> str:
    """A plain form without weak words and with its digits as words."""
    return _map(strengthened(form), _spoken_digits)


def number_key(text: str) -> str:
    """A number whatever its punctuation: "EM 018-123/4" is "EM0181234"."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text) if letter.isalnum()).upper()


def _latin(text: str, *, alike: bool = False) -> str:
    """alike: words wholly of letters that look like Latin ones are read as such, not transliterated."""
    words = unicodedata.normalize("NFKC", re.sub("[™®©℠]", " ", text[: 4 * LONGEST])).split()
    if not any(c.isalnum() for word in words for c in word):
        return ""  # signs alone are no name
    return anyascii(" ".join(_one_script(_seen(word), alike) for word in words)[:LONGEST])


def _seen(word: str) -> str:
    return "".join(_SIGNS.get(c, c) for c in word if not unicodedata.category(c).startswith(_UNSEEN))


def _one_script(word: str, alike: bool) -> str:
    """A word that mixes Latin letters with look-alikes of another script is Latin."""
    if word.isascii():
        return word
    disguised = word.translate(_LOOK_ALIKES)
    mixed = any("a" <= c <= "z" for c in word.lower())
    return disguised if disguised.isascii() and (mixed or alike) else word


def _letters(text: str) -> str:
    text = re.sub(r"['’`´]", "", text.lower())
    text = re.sub(r"\b(?:[a-z]\.){2,}", lambda dotted: dotted[0].replace(".", ""), text)  # i.b.m.
    return " ".join(re.findall(r"[a-z0-9]+", text))


def _map(form: str, of_word: Callable[[str], str]) -> str:
    return " ".join(of_word(word) for word in form.split())


def _spoken_digits(word: str) -> str:
    if word.isdigit():
        return _COUNTED[int(word)] if len(word) <= 2 and int(word) < len(_COUNTED) else word
    if re.search(r"\d\d", word):
        return word
    return "".join(_READ_AS.get(c, c) for c in word)


def _drawn_digits(word: str) -> str:
    return word if word.isdigit() or re.search(r"\d\d\d", word) else word.translate(_DRAWN_AS)
