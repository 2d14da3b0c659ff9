"""Agreement between examiners: hand-computed figures, and what is read from the database."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from feedback.agreement import Agreement, Judgement, agreement_of
from feedback.judgements import examiners_agree
from feedback.services import page_seen, search_conclude, selection_set
from search.models import Search
from tests.factories import done_search


def said(table: dict[str, str], *, changed: str = "") -> list[Judgement]:
    """{"erin": "+-+"}: what each decided about marks 0, 1, 2; a blank was not judged."""
    return [
        Judgement("q", place, name, sign == "+", name in changed)
        for name, signs in table.items()
        for place, sign in enumerate(signs)
        if sign != " "
    ]


def test_two_examiners_give_scotts_pi() -> None:
    found = agreement_of(said({"erin": "+++---+-", "olaf": "++-----+"}))
    # 5 of 8 alike; 7 of 16 words are "selected": P_e = 0.4375^2 + 0.5625^2 = 0.5078.
    assert (found.pairs, found.alike, found.queries, found.examiners) == (8, 5, 1, 2)
    assert found.share == pytest.approx(0.625)
    assert found.kappa == pytest.approx((0.625 - 0.5078125) / (1 - 0.5078125))


def test_as_many_judges_everywhere_give_fleiss_kappa() -> None:
    found = agreement_of(said({"a": "++-+", "b": "+--+", "c": "+-++"}))
    # Fleiss 1971 by hand: P_i = 1, 1/3, 1/3, 1; p = 8/12.
    p_o, p_e = (1 + 1 / 3 + 1 / 3 + 1) / 4, (2 / 3) ** 2 + (1 / 3) ** 2
    assert found.pairs == 12
    assert found.kappa == pytest.approx((p_o - p_e) / (1 - p_e))


def test_an_item_weighs_by_its_pairs_and_a_lone_judgement_says_nothing() -> None:
    found = agreement_of(said({"a": "+-", "b": "+ ", "c": "- "}))
    assert (found.pairs, found.alike) == (3, 1)
    assert found.share == pytest.approx(1 / 3)


def test_the_last_word_of_an_examiner_counts() -> None:
    words = [*said({"erin": "+", "olaf": "-"}), *said({"erin": "-"})]
    assert agreement_of(words).share == 1.0


def test_pairs_without_a_hand_in_it_are_told_apart() -> None:
    found = agreement_of([*said({"a": "++", "b": "++"}), *said({"c": "+-"}, changed="c")])
    # Mark 0: three say yes. Mark 1: c says no, against a and b. c changed both: 4 pairs, 2 alike.
    assert (found.pairs, found.alike, found.disputed, found.disputed_alike) == (6, 4, 4, 2)
    assert found.disputed_share == 0.5


@pytest.mark.parametrize("words", [[], said({"erin": "+-+"})])
def test_without_two_judges_there_is_no_figure(words: list[Judgement]) -> None:
    found = agreement_of(words)
    assert (found.pairs, found.share, found.kappa, found.disputed_share) == (0, None, None, None)


def test_where_everybody_always_says_the_same_kappa_is_undefined() -> None:
    found = agreement_of(said({"erin": "---", "olaf": "---"}))
    assert (found.share, found.kappa) == (1.0, None)


def concluded(owner: Any, sha: str, *, add: tuple[str, ...] = (), cluster: int = 3) -> Search:
    search = done_search(owner, scores=[0.9, 0.6, 0.3], threshold=0.8, cluster=cluster)
    Search.objects.filter(pk=search.pk).update(image_sha256=sha)
    page_seen(search=search, page=1, user=owner)
    for number in add:
        selection_set(search=search, number=number, selected=True, user=owner)
    search_conclude(search=search, kind="done", user=owner)
    return search


@pytest.mark.django_db
def test_only_one_image_judged_by_two_people_is_compared(make_user: Any) -> None:
    erin, olaf, now = make_user("erin"), make_user("olaf"), timezone.now()
    concluded(erin, "one", add=("M2",))
    concluded(erin, "one", add=("M2",))  # the same examiner again
    concluded(olaf, "other")
    assert examiners_agree(since=None, until=timezone.now()) == Agreement()
    concluded(olaf, "one")
    found = examiners_agree(since=None, until=timezone.now())
    assert (found.pairs, found.alike, found.queries, found.examiners, found.disputed) == (3, 2, 1, 2, 1)
    assert examiners_agree(since=None, until=timezone.now(), cluster=3).pairs == 3
    assert examiners_agree(since=None, until=timezone.now(), cluster=4).pairs == 0
    assert examiners_agree(since=None, until=now - timedelta(days=1)).pairs == 0


@pytest.mark.django_db
def test_what_one_of_them_did_not_see_is_no_judgement(make_user: Any, settings: Any) -> None:
    settings.TM_PAGE_SIZE = 2
    concluded(make_user("erin"), "one")
    concluded(make_user("olaf"), "one", add=("M3",))
    found = examiners_agree(since=None, until=timezone.now())
    assert found.pairs == 2  # M3 lies on page 2, which only olaf judged
