"""Writes of feedback: a page seen, a mark selected, a search concluded."""

from collections.abc import Set
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, CharField, DateTimeField, F, Q, Value, When

from feedback.models import Conclusion, Impression, PageView, Selection
from feedback.selectors import Change, last_change, selection_of
from search.bulk import rows_copy
from search.errors import Conflict, NotAllowed, NotThere, Refused
from search.models import Search, SearchResult
from search.refining import refined_keep
from search.selectors import result_get
from search.services import search_concluded, search_hold

Outcome = Impression.Outcome


def page_seen(*, search: Search, page: int, user: Any) -> None:
    """The owner reached a page. An administrator looking over a shoulder is no judge of it."""
    if search.owner_id != user.pk or PageView.objects.filter(search=search, page=page).exists():
        return
    try:
        with transaction.atomic():
            PageView.objects.create(search=search, page=page)
    except IntegrityError:
        return  # the same page asked for twice at once


class ChangedElsewhere(Conflict):
    """The selection of a mark is no longer what the caller saw; `fields` say what it is."""

    code = "changed_elsewhere"


def selection_set(*, search: Search, number: str, selected: bool, user: Any, after: int | None = None) -> Change:
    """Add or remove a mark; durable when this returns. Setting what is already so writes nothing.

    after: the number of the change that the caller saw last. ChangedElsewhere when another one came since and left
    the mark otherwise than asked: so neither a second window nor a request that was late undoes a newer word.
    """
    _must_own(search, user)
    with transaction.atomic():
        search_hold(search)  # one at a time: what is compared is what is changed
        result = _shown(search, number)
        row = Selection.objects.filter(search=search, mark=result.mark).order_by("-id").first()
        latest = Change(row.selected, row.pk) if row else Change(result.preselected, 0)
        if latest.selected == selected:
            return latest
        if after is not None and after != latest.number:
            raise ChangedElsewhere(
                f"{result.mark.name or number} was changed in another window meanwhile and is "
                f"{'selected' if latest.selected else 'not selected'} now: choose again if you want it otherwise.",
                selected=latest.selected, change=latest.number,
            )  # fmt: skip
        made = Selection.objects.create(search=search, mark=result.mark, selected=selected, by=user)
    return Change(selected, made.pk)


class Overtaken(Exception):  # noqa: N818  not for the user: the caller looks again
    """The selection has changed since the caller read it."""


def search_conclude(*, search: Search, kind: str, user: Any, after: int | None = None) -> Conclusion:
    """Freeze what was shown and decided into the append-only log (design.md 4).

    Concluded again (a report made anew after a change), the latest conclusion is the evidence. after: `last_change` as
    the caller saw it; Overtaken where another one came since.
    """
    must_conclude(search, user)
    seen = set(PageView.objects.filter(search=search).values_list("page", flat=True))
    with transaction.atomic():
        search_hold(search)  # no change of the selection comes in between
        last = last_change(search)
        if after is not None and after != last:
            raise Overtaken
        selection = selection_of(search, through=last).numbers
        conclusion = Conclusion.objects.create(search=search, kind=kind, by=user, last_change=last)
        # What only refining found was no part of the answer, so it says nothing about the answer.
        judged = search.results.filter(refined=False)
        rows_copy(Impression, _frozen(conclusion, selection, seen), judged)
        search_concluded(search=search, at=conclusion.at)
    return conclusion


def must_conclude(search: Search, user: Any) -> None:
    """Refused where this user, or nobody yet, may conclude the search."""
    _must_own(search, user)
    if search.status != Search.Status.DONE or search.parameter_set_id is None:
        raise Refused("The search is not done yet: wait for its results.")


def _frozen(conclusion: Conclusion, numbers: Set[str], seen: Set[int]) -> dict[str, Any]:
    """What an impression says, as expressions over the result it is of."""
    search = conclusion.search
    page = (F("position") - 1) / settings.TM_PAGE_SIZE + 1  # page_of; whole numbers divide to whole numbers
    selected = Q(mark__number__in=numbers)
    # Who changed a mark has seen it, whatever page the client asked for.
    changed = (selected & Q(preselected=False)) | (~selected & Q(preselected=True))
    outcome = Case(
        When(selected & Q(preselected=True), then=Value(Outcome.KEPT)),
        When(preselected=True, then=Value(Outcome.REMOVED)),
        When(selected, then=Value(Outcome.ADDED)),
        default=Value(Outcome.UNTOUCHED),
        output_field=CharField(),
    )
    copied = ("mark", "rank", "position", "similarities", "score", "preselected", "above_cut", "audit", "arm")
    return {
        **{name: F(name) for name in copied},
        "conclusion": Value(conclusion.pk),
        "page": page,
        "seen": Case(When(changed, then=True), When(to_page__in=seen, then=True), default=False),
        "plain": Value(search.plain),
        "outcome": outcome,
        "examiner": Value(conclusion.by_id),
        "parameter_set": Value(search.parameter_set_id),
        "at": Value(conclusion.at, output_field=DateTimeField()),
    }


def _shown(search: Search, number: str) -> SearchResult:
    """The result of this mark; one that a refined list showed becomes a result now."""
    try:
        return result_get(search=search, number=number)
    except NotThere:
        return refined_keep(search=search, number=number)


def page_of(position: int) -> int:
    """The page, from 1, of a position in the list as shown, from 1."""
    return (position - 1) // settings.TM_PAGE_SIZE + 1


def _must_own(search: Search, user: Any) -> None:
    if search.owner_id != user.pk:
        raise NotAllowed("Only the examiner who made the search may change its selection or conclude it.")
