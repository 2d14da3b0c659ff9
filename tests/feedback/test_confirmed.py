"""Which images examiners confirmed to be confusable: through the database, and the families by hand."""

from typing import Any

import pytest

from feedback.confirmed import Confirmed, confirmed_families
from feedback.families import Word, families_of
from feedback.services import page_seen, search_conclude, selection_set
from search.models import Search
from tests.factories import done_search


def word(query: str, mark: str, *, alike: bool = True, by: str = "ann", added: bool = False) -> Word:
    return Word(f"search of {query} by {by}", by, query, mark, alike, added)


def images(words: list[Word], **limits: Any) -> list[tuple[str, ...]]:
    return [family.images for family in families_of(words, **limits).families]


def test_marks_and_queries_that_are_linked_over_searches_are_one_family() -> None:
    found = families_of([word("q1", "a"), word("q1", "b"), word("q2", "b", by="bob"), word("q3", "c")])
    assert [family.images for family in found.families] == [("a", "b", "q1", "q2"), ("c", "q3")]
    assert found.families[0].searches == {"search of q1 by ann", "search of q2 by bob"}
    assert found.families[0].examiners == {"ann", "bob"}


def test_a_query_that_is_the_mark_itself_links_nothing() -> None:
    assert images([word("a", "a")]) == []
    assert images([word("a", "a"), word("a", "b")]) == [("a", "b")]


def test_a_pair_on_which_examiners_disagree_says_nothing() -> None:
    found = families_of([word("q", "a"), word("q", "b"), word("q", "a", alike=False, by="bob")])
    assert [family.images for family in found.families] == [("b", "q")]
    assert found.strangers == () and found.disputed == 1


def test_a_removed_mark_is_a_stranger_of_its_query() -> None:
    found = families_of([word("q", "a"), word("q", "x", alike=False)])
    assert found.strangers == (("q", "x"),) and [f.images for f in found.families] == [("a", "q")]


def test_a_component_that_is_too_large_falls_back_to_its_searches_without_the_glue() -> None:
    """Two families of four, and one wrong word that makes them one of eight."""
    one = [word("q1", mark) for mark in ("a", "b", "c")]
    two = [word("q2", mark, by="bob") for mark in ("d", "e", "f")]
    glue = word("q2", "a", by="bob")
    assert images([*one, *two, glue], largest=8) == [("a", "b", "c", "d", "e", "f", "q1", "q2")]
    found = families_of([*one, *two, glue], largest=7)
    assert [family.images for family in found.families] == [("b", "c", "q1"), ("d", "e", "f", "q2")]
    assert found.cut == 1


def test_a_component_that_holds_confirmed_strangers_is_cut_as_well() -> None:
    """q1~a~q2, but an examiner removed q2's own mark b when searching with q1."""
    words = [word("q1", "a"), word("q1", "c"), word("q2", "a"), word("q2", "b"), word("q1", "b", alike=False)]
    assert images(words) == [("b", "q2"), ("c", "q1")]


def test_one_search_that_selects_everything_keeps_what_was_added_first() -> None:
    words = [word("q", f"kept{n}") for n in range(5)] + [word("q", "z", added=True)]
    assert images(words, largest=3) == [("kept0", "q", "z")]


def test_no_examiner_has_more_than_the_cap_of_all_words() -> None:
    """Words 20, 3, 3 with at most 40 %: 4 + 3 + 3 = 10 and 4 is 40 % of it; the newest four stay."""
    words = [word(f"q{n}", f"m{n}") for n in range(20)]
    words += [word(f"b{n}", f"c{n}", by="bob") for n in range(3)] + [word(f"d{n}", f"e{n}", by="cat") for n in range(3)]
    found = families_of(words)
    assert found.capped == 16 and len(found.families) == 10
    assert {f.images[0] for f in found.families if f.examiners == {"ann"}} == {"m16", "m17", "m18", "m19"}
    assert len(families_of(words[:20]).families) == 20  # alone, there is nobody to weigh against
    assert families_of(words[:23]).capped == 0  # of two, one always says half or more


def conclude(search: Search, user: Any, *, added: tuple[str, ...] = (), removed: tuple[str, ...] = ()) -> None:
    for number in added:
        selection_set(search=search, number=number, selected=True, user=user)
    for number in removed:
        selection_set(search=search, number=number, selected=False, user=user)
    search_conclude(search=search, kind="done", user=user)


def searched(user: Any, sha: str) -> Search:
    """Results M1 to M6; M1, M2, M5 pre-selected; a page holds four."""
    search = done_search(user, scores=[0.9, 0.85, 0.6, 0.5, 0.82, 0.3], threshold=0.8)
    Search.objects.filter(pk=search.pk).update(image_sha256=sha)
    search.refresh_from_db()
    return search


@pytest.mark.django_db
def test_kept_counts_when_seen_added_always_removed_is_a_stranger(examiner: Any, settings: Any) -> None:
    settings.TM_PAGE_SIZE = 4
    search = searched(examiner, "q")
    page_seen(search=search, page=1, user=examiner)
    conclude(search, examiner, added=("M6",), removed=("M2",))
    found: Confirmed = confirmed_families()
    # M1 kept and seen, M6 added on a page never asked for; M5 kept but unseen, M3 and M4 untouched.
    assert [family.images for family in found.families] == [("M1", "M6", "q")]
    assert found.strangers == (("q", "M2"),)
    assert found.searches == 1 and found.examiners == 1
    assert found.families[0].searches == {search.pk} and found.families[0].examiners == {examiner.pk}
    assert str(found.paths["M6"]).endswith("marks/M6") and str(found.paths["q"]).endswith("searches/q")


@pytest.mark.django_db
def test_only_the_newest_conclusion_of_a_search_counts_and_abandoned_ones_never(examiner: Any) -> None:
    searched(examiner, "abandoned")
    search = searched(examiner, "q")
    conclude(search, examiner, added=("M3",))
    selection_set(search=search, number="M3", selected=False, user=examiner)
    conclude(search, examiner, added=("M4",))
    assert [family.images for family in confirmed_families().families] == [("M4", "q")]


@pytest.mark.django_db
def test_two_examiners_meet_in_a_mark(make_user: Any) -> None:
    ann, bob = make_user("ann"), make_user("bob")
    conclude(searched(ann, "q1"), ann, added=("M3",))
    conclude(searched(bob, "q2"), bob, added=("M3", "M4"))
    (family,) = confirmed_families().families
    assert family.images == ("M3", "M4", "q1", "q2") and family.examiners == {ann.pk, bob.pk}
