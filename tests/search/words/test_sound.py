"""Keys of sound: names that are said alike have a key in common, or keys that are near."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.words.match import sound
from search.words.sound import sounds


def likeness(one: str, other: str) -> float:
    return float(sound(sounds(one), [sounds(other) or ("",)])[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("KWIX", "QUICKS"), ("Pfizer", "Fizer"), ("Knight", "Nite"), ("4ever", "Forever"), ("Renault", "Reno"),
        ("Chanel", "Shanel"), ("Xerox", "Zeroks"), ("Schokolade", "Shokolade"),
        ("Photo", "Foto"), ("España", "Espania"),
        ("Volkswagen", "Folksvagen"), ("Peugeot", "Pejo"), ("Kellogg", "Kelog"), ("Газпром", "Gasprom"),
        ("Vino", "Bino"),
        ("Lite", "Light"), ("Quesada", "Kesada"),
    ],
)  # fmt: skip
def test_names_that_are_said_alike_sound_alike(one: str, other: str) -> None:
    assert likeness(one, other) >= 0.85


@pytest.mark.parametrize(
    ("one", "other"), [("Adidas", "Samsung"), ("Oracle", "Nike"), ("Kwix", "Banana"), ("Reno", "Fizer")]
)
def test_strangers_do_not(one: str, other: str) -> None:
    assert likeness(one, other) < 0.6


def test_one_sound_more_is_still_near_but_not_the_same() -> None:
    assert 0.8 < likeness("Kodak", "Kodaks") < 1.0


def test_names_that_cannot_be_read_sound_like_nothing() -> None:
    assert sounds("???") == () and likeness("???", "!!!") == 0.0 and likeness("kodak", "!!!") == 0.0


@settings(deadline=None)
@given(st.text(max_size=80))
def test_keys_are_capital_letters_or_digits(text: str) -> None:
    assert all(key and set(key) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") for key in sounds(text))
