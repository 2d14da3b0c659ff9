"""How a name sounds to readers of English, French, German and Spanish: strings of phonemes that can be compared.

The keys are coarse on purpose: sounds that are taken for each other over a counter have one letter (S and Z of English,
SH and TCH), silent letters have none. A key is compared with keys as a string, so one sound more or less is still near.
"""

import re
from functools import cache, lru_cache

from search.words.normalise import as_said, plain

# (pattern, phonemes): of those that fit at a place the first is taken; letters that nothing names sound as themselves.
_Rules = tuple[tuple[str, str], ...]

_ENGLISH: _Rules = (
    (r"^(?:kn|gn|pn)", "N"), (r"^wr", "R"), (r"^wh", "W"), (r"^ps", "S"), (r"^pf", "F"), (r"^x", "S"), (r"^y", "Y"),
    (r"tch|sch(?=[ei])|sh|ch(?![rl])|(?<=[nraeiou])ti(?=on)|ci(?=[ao])|ss?i(?=on)", "C"), (r"sc(?=[eiy])|[sz]", "S"),
    (r"ch|ck|cq(?=u)", "K"), (r"que$", "K"), (r"qu", "KW"), (r"ph", "F"), (r"igh", "AI"), (r"ough|augh", "O"),
    (r"^gh", "G"), (r"gh", ""), (r"gn$", "N"), (r"mb$", "M"), (r"dg(?=e)|j|g(?=[eiy])", "J"), (r"th", "T"),
    (r"c(?=[eiy])", "S"), (r"[ckq]", "K"), (r"x", "KS"), (r"(?<=[aeiou])h|(?<=[cgkprst])h", ""),
    (r"e?y$|ie$|ee|ea|ie|ei", "I"), (r"ai|ay|a(?=[bcdfgklmnprstvz]es?$)", "E"), (r"i(?=[bcdfgklmnprstvz]es?$)", "AI"),
    (r"y(?=[bcdfgklmnprstvz]es?$)", "AI"), (r"oo|ou|ew|ue|u(?=[bcdfgklmnprstvz]e$)", "U"), (r"au|aw|oa|ow|oe$", "O"),
    (r"(?<=[bcdfgklmnprstvzx])es?$", ""), (r"y(?=[aeou])", "Y"), (r"y", "I"),
)  # fmt: skip
_FRENCH: _Rules = (
    (r"eaux?$|eau|aul?[dtx]?s?$|au", "O"), (r"oeu|eu", "E"), (r"oux?$|ou", "U"), (r"oi", "WA"),
    (r"(?:er|ez|et|ee?s?)$", "E"),
    (r"(?:ain|ein|in|im|yn|un)(?![aeiouynm])", "EN"), (r"(?:an|am|en|em)(?![aeiouynm])", "AN"),
    (r"o[nm](?![aeiouynm])", "ON"), (r"(?<=[aeu])ill?e?", "Y"), (r"ai|ei|ay", "E"), (r"gn", "NY"), (r"sch|sh|ch", "C"),
    (r"j|g(?=[eiy])", "J"), (r"gu(?=[eiy])", "G"), (r"qu|ck", "K"), (r"sc(?=[eiy])|c(?=[eiy])", "S"), (r"[cqk]", "K"),
    (r"ph", "F"), (r"th", "T"), (r"(?<=[aeiounrlt])[stdxzp]+$", ""), (r"x", "KS"), (r"[sz]", "S"), (r"h", ""),
    (r"w", "V"), (r"y", "I"),
)  # fmt: skip
_GERMAN: _Rules = (
    (r"tsch|sch|sh|ch(?=ef)", "C"), (r"^s(?=[tp])", "C"), (r"chs", "KS"), (r"(?<=[aou])ch", "H"), (r"^ch", "K"),
    (r"ch", "H"), (r"ck", "K"), (r"qu", "KV"), (r"ph|pf", "F"), (r"th|dt$|tt$", "T"), (r"tz|z", "TS"),
    (r"c(?=[eiy])", "TS"), (r"[ckq]", "K"), (r"x", "KS"), (r"v", "F"), (r"w", "V"), (r"j", "Y"), (r"ie|ih", "I"),
    (r"ei|ai|ey|ay", "AI"), (r"aeu|eu", "OI"), (r"ae", "E"), (r"oe", "O"), (r"ue", "U"), (r"(?<=[aeiou])h", ""),
    (r"d$", "T"), (r"b$", "P"), (r"g$", "K"), (r"s", "S"), (r"y", "I"),
)  # fmt: skip
_SPANISH: _Rules = (
    (r"ch|sh", "C"), (r"ll", "Y"), (r"qu(?=[ei])", "K"), (r"gu(?=[ei])", "G"), (r"g(?=[ei])|j", "H"), (r"h", ""),
    (r"c(?=[ei])|[zs]", "S"), (r"[ckq]", "K"), (r"ph", "F"), (r"v", "B"), (r"x", "KS"), (r"y(?=[aeiou])", "Y"),
    (r"y", "I"),
)  # fmt: skip
_LANGUAGES = (_ENGLISH, _FRENCH, _GERMAN, _SPANISH)
_SPELLED_OUT = str.maketrans({"ç": "ss", "Ç": "ss", "ñ": "nni", "Ñ": "nni"})
"""Letters whose sound is lost with their mark."""


def sounds(text: str) -> tuple[str, ...]:
    """The name as readers of each language say it, each key once; () when nothing can be read."""
    spoken = as_said(plain(text.translate(_SPELLED_OUT)))
    return tuple(dict.fromkeys(key for key in (_key(spoken, rules) for rules in _LANGUAGES) if key))


def _key(spoken: str, rules: _Rules) -> str:
    return re.sub(r"(.)\1+", r"\1", "".join(_said(word, rules) for word in spoken.split()))


@lru_cache(maxsize=100_000)  # names share their words
def _said(word: str, rules: _Rules) -> str:
    pattern, replacements = _compiled(rules)
    return pattern.sub(lambda found: replacements[found.lastindex or 0], word).upper()


@cache
def _compiled(rules: _Rules) -> tuple[re.Pattern[str], tuple[str, ...]]:
    pattern = re.compile("|".join(f"({one})" for one, _ in rules))
    return pattern, ("", *(phonemes for _, phonemes in rules))
