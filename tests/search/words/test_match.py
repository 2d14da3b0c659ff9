"""Names compared: scores and ways, by hand-made cases."""

import pytest

from search.words.match import BEGINS, HOLDS, PART, SAME, SOUNDS, SPELLED, Near, barred, excluded, near, read, unbarred
from search.words.normalise import forms
from search.words.sound import sounds


def judged(typed: str, *names: str) -> list[Near]:
    return near(read(typed), [barred(forms(name)) for name in names], [barred(sounds(name)) for name in names])


@pytest.mark.parametrize(
    ("typed", "name", "way"),
    [
        ("red hat", "RED HAT", SAME), ("red hat", "The Red Hat, Inc.", SAME), ("forever", "4ever", SAME),
        ("red", "Red Hat", BEGINS), ("hat", "Red Hat", PART), ("soft", "Microsoft", PART),
        ("red hat linux", "Red Hat", HOLDS),
        ("addidas", "Adidas", SPELLED), ("starway", "Star Ways", SPELLED), ("hat red", "Red Hat", SPELLED),
        ("quicks", "KWIX", SOUNDS), ("fizer", "Pfizer", SOUNDS), ("кодак", "Kodak", SAME), ("bp", "B.P.", SAME),
    ],
)  # fmt: skip
def test_each_way_of_being_near(typed: str, name: str, way: str) -> None:
    assert way in judged(typed, name)[0].ways


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("kodak", "Samsung"), ("bp", "BMW"), ("ibm", "IKEA"), ("???", "!!!"), ("hat", "Hugo"), ("sun", "Xyz"),
        ("at", "Atlantic Matter"),
    ],
)  # fmt: skip
def test_strangers_are_near_in_no_way(typed: str, name: str) -> None:
    assert judged(typed, name) == [Near(0.0, ())]


def test_the_same_name_comes_before_all_others_and_likeness_orders_the_rest() -> None:
    scores = [one.score for one in judged("kodak", "Kodak", "The Kodak Co.", "Kodaks", "Codec", "Samsung")]
    assert scores == sorted(scores, reverse=True) and scores[0] == 1.0 and len(set(scores)) == 5


def test_a_word_with_a_minus_may_not_be_in_the_name() -> None:
    query = read("red -hat -Inc.")
    assert query.text == "red" and query.without == ("hat", "inc")
    assert excluded(query, barred(forms("Red Hat"))) and not excluded(query, barred(forms("Red Hatter")))
    assert read("red - -- hat").without == ()


def test_only_what_has_a_digit_is_a_number() -> None:
    assert read("EM 018/1").number == "EM0181" and read("kodak").number == ""
    assert not read("???").readable and not read("-hat").readable


def test_bars_come_off_again() -> None:
    assert unbarred(barred(["red hat", "redhat"])) == ["red hat", "redhat"] and unbarred(barred([])) == []
