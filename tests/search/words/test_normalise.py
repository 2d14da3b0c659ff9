"""The forms of names: what is compared, whatever was typed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.words.normalise import forms, number_key, plain


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Łódź  Škoda", "lodz skoda"), ("Ａｄｉｄａｓ™", "adidas"), ("ﬁne Straße", "fine strasse"),
        ("Газпром", "gazprom"),
        ("ΝΙΚΕ", "nike"), ("深圳", "shenzhen"), ("トヨタ", "toyota"), ("삼성", "samseong"), ("McDonald's", "mcdonalds"),
        ("I.B.M.", "ibm"), ("7-Eleven", "7 eleven"), ("rea\u200bd\u202e", "read"), ("e\u0301cole", "ecole"),
        ("AT&T", "at and t"), ("ІЅТANBUL", "istanbul"), ("שלום", "slvm"), ("İstanbul ıssız", "istanbul issiz"),
    ],
)  # fmt: skip
def test_letters_of_every_script_become_small_latin_ones(text: str, form: str) -> None:
    assert plain(text) == form


@pytest.mark.parametrize("text", ["", "  ", "???", "😀🎉", "\x00\x01\x7f", "—…", "\u202e\u200f", "™"])
def test_what_cannot_be_read_has_no_form(text: str) -> None:
    assert forms(text) == ()


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("4ever", "forever"), ("b2b", "btob"), ("H0tel", "hotel"), ("7-Eleven", "seven eleven"), ("K8", "kate"),
        ("The Red Hat, Inc.", "red hat"), ("СОСА СОLА", "coca cola"), ("Kaffee GmbH & Co. KG", "kaffee"),
    ],
)  # fmt: skip
def test_a_name_is_also_read_as_people_read_it(text: str, reading: str) -> None:
    assert reading in forms(text)


@pytest.mark.parametrize("text", ["THE", "Co", "The Co."])
def test_a_name_of_weak_words_alone_keeps_them(text: str) -> None:
    assert forms(text) == (plain(text),)


def test_a_number_is_the_same_with_any_punctuation() -> None:
    assert number_key("EM 018-123/4") == number_key("em.0181234") == number_key("ＥＭ０１８１２３４") == "EM0181234"


@settings(deadline=None)
@given(st.text(max_size=300))
def test_forms_are_letters_digits_and_single_spaces(text: str) -> None:
    for form in forms(text):
        assert form and form == " ".join(form.split())
        assert set(form) <= set("abcdefghijklmnopqrstuvwxyz0123456789 ")


@settings(deadline=None)
@given(st.text(max_size=60))
def test_a_form_is_its_own_plain_form(text: str) -> None:
    assert all(plain(form) == form for form in forms(text))
