"""Writes of feedback: a page seen, a mark selected, a search concluded."""

from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max

from feedback.models import Conclusion, Impression, PageView, Selection
from feedback.selectors import Change, selection_of
from search.errors import Conflict, NotAllowed, NotThere, Refused
from search.models import Search, SearchResult
from search.refining import refined_keep
from search.selectors import result_get, results_of
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


def search_conclude(*, search: Search, kind: str, user: Any) -> Conclusion:
    """Freeze what was shown and decided into the append-only log (design.md 4).

    Concluded again (a report made anew after a change), the latest conclusion is the evidence.
    """
    _must_own(search, user)
    if search.status != Search.Status.DONE or search.parameter_set_id is None:
        raise Refused("The search is not done yet: wait for its results.")
    seen = set(PageView.objects.filter(search=search).values_list("page", flat=True))
    with transaction.atomic():
        search_hold(search)  # no change of the selection comes in between
        last = Selection.objects.filter(search=search).aggregate(last=Max("id"))["last"] or 0
        selection = selection_of(search, through=last).numbers
        conclusion = Conclusion.objects.create(search=search, kind=kind, by=user, last_change=last)
        rows = []
        # What only refining found was no part of the answer, so it says nothing about the answer.
        for result in results_of(search).filter(refined=False):
            selected = result.mark.number in selection
            page = page_of(result.position)
            rows.append(
                Impression(
                    conclusion=conclusion,
                    mark=result.mark,
                    rank=result.rank,
                    position=result.position,
                    page=page,
                    # Who changed a mark has seen it, whatever page the client asked for.
                    seen=page in seen or selected != result.preselected,
                    similarities=result.similarities,
                    score=result.score,
                    preselected=result.preselected,
                    above_cut=result.above_cut,
                    audit=result.audit,
                    arm=result.arm,
                    plain=search.plain,
                    outcome=_outcome(result.preselected, selected),
                    examiner=user,
                    parameter_set_id=search.parameter_set_id,
                    at=conclusion.at,
                )
            )
        Impression.objects.bulk_create(rows, batch_size=500)
        search_concluded(search=search, at=conclusion.at)
    return conclusion


def _shown(search: Search, number: str) -> SearchResult:
    """The result of this mark; one that a refined list showed becomes a result now."""
    try:
        return result_get(search=search, number=number)
    except NotThere:
        return refined_keep(search=search, number=number)


def page_of(position: int) -> int:
    """The page, from 1, of a position in the list as shown, from 1."""
    return (position - 1) // settings.TM_PAGE_SIZE + 1


def _outcome(preselected: bool, selected: bool) -> str:
    if preselected:
        return Outcome.KEPT if selected else Outcome.REMOVED
    return Outcome.ADDED if selected else Outcome.UNTOUCHED


def _must_own(search: Search, user: Any) -> None:
    if search.owner_id != user.pk:
        raise NotAllowed("Only the examiner who made the search may change its selection or conclude it.")
