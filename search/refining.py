"""More like these, less like those: one search seen in another order. Nothing of it reaches the tuning.

The search, its results and their ranks stay as they are. A mark that only the refined list shows becomes a result,
flagged `refined`, when the examiner selects it: it belongs to the report, and to no evidence.
"""

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from search import media, questions
from search.engine import engine
from search.errors import NotAllowed, NotThere, Refused, Unavailable
from search.models import Mark, RefinedHit, Search, SearchResult
from search.query_file import query_keep, query_kept
from search.retrieval.decoding import decode_apart
from search.retrieval.imaging import ImageRefused
from search.retrieval.refinement import UnknownMark, search_refined
from search.selectors import mark_get
from search.services import filters_from_json, search_hold

MOST = 20
"""Marks that may be liked, and as many that may be disliked."""
_NOT_DONE = "The search is not done yet: wait for its results."


def refine_ask(*, search: Search, like: list[str], unlike: list[str], page: int, user: Any) -> dict[str, Any]:
    """One page of the refined list, answered by a search worker: {count, hits: [{number, rank, score, ...}]}.

    hits: as search.retrieval.records.Hit; rank is the place in the refined list, all else compares with the query.
    Refused with a sentence for anybody but the owner, for a search that is not done, and for marks that are none, too
    many, both liked and disliked, or not in the index.
    """
    from search.tasks import run_refine

    if search.owner_id != user.pk:
        raise NotAllowed("Only the examiner who made the search may refine it.")
    if search.status != Search.Status.DONE or search.parameter_set_id is None:
        raise Refused(_NOT_DONE)
    like, unlike = list(dict.fromkeys(like)), list(dict.fromkeys(unlike))
    if not like and not unlike:
        raise Refused("Name at least one mark in 'like' or in 'unlike'.")
    if max(len(like), len(unlike)) > MOST:
        raise Refused(f"At most {MOST} marks can be liked and {MOST} disliked: name fewer.")
    both = next((number for number in like if number in unlike), None)
    if both is not None:
        raise Refused(f"Mark {both} stands in 'like' and in 'unlike': choose one.")
    answer = questions.ask(run_refine, str(search.pk), like, unlike, page)
    _remember(search, answer["hits"])
    return answer


def refine(*, search_id: str, like: list[str], unlike: list[str], page: int) -> dict[str, Any]:
    """The same in this process, which holds the engine; the caller has checked who asks for what."""
    search = Search.objects.select_related("parameter_set").get(pk=search_id)
    if search.parameter_set is None:
        raise Refused(_NOT_DONE)
    searcher, describe = engine.serving()
    version = searcher.snapshot.descriptors_version
    query = query_kept(search, version)
    if query is None:
        query = describe(_picture(search))
        query_keep(search, query, version)
    same_clusters = search.clusters_version == searcher.snapshot.clusters.version
    try:
        answer = search_refined(
            searcher,
            query,
            search.parameter_set.unpack(),
            liked=like,
            disliked=unlike,
            cluster=search.cluster if same_clusters else None,
            filters=filters_from_json(search.filters),
            depth="cluster" if search.depth == Search.Depth.CLUSTER else "register",
            candidates=settings.TM_CANDIDATES,
            top=settings.TM_RESULTS,
            shown=slice((page - 1) * settings.TM_PAGE_SIZE, page * settings.TM_PAGE_SIZE),
        )
    except UnknownMark as unknown:
        raise NotThere(f"There is no mark {unknown.number} in the index: name marks that the search shows.") from None
    return {"count": answer.count, "hits": [asdict(hit) for hit in answer.hits]}


def _picture(search: Search) -> Any:
    try:
        return decode_apart(media.read(search.image, sha256=search.image_sha256))
    except (FileNotFoundError, ImageRefused):
        raise Unavailable("The image of this search is no longer on file: search with it again.") from None


def refined_rows(search: Search, hits: list[dict[str, Any]]) -> list[SearchResult]:
    """A row for each hit whose mark is still in the register, in the order of the hits.

    What is among the results comes as it was stored; the others are unsaved rows with the rank of the refined list.
    """
    numbers = [hit["number"] for hit in hits]
    stored = search.results.filter(mark__number__in=numbers).select_related("mark")
    rows = {row.mark.number: row for row in stored}
    marks = Mark.objects.in_bulk([number for number in numbers if number not in rows], field_name="number")
    rows |= {hit["number"]: _row(search, marks[hit["number"]], hit) for hit in hits if hit["number"] in marks}
    return [rows[number] for number in numbers if number in rows]


def refined_keep(*, search: Search, number: str) -> SearchResult:
    """Make a mark that only refining found a result of the search, behind all others; once, however often asked.

    NotThere when no refined list of this search showed it.
    """
    shown = RefinedHit.objects.filter(search=search, mark__number=number).select_related("mark").first()
    shown = shown or _shown_before(search, number)
    if shown is None:
        raise NotThere(f"Mark {number} is not among the results of this search.")
    mark = shown.mark
    with transaction.atomic():
        search_hold(search)  # one at a time: no rank is given twice
        kept = search.results.filter(mark=mark).first()
        if kept is None:
            last = search.results.aggregate(rank=Max("rank"), position=Max("position"))
            hit = {"score": shown.score, "similarities": shown.similarities, "boxes": shown.boxes}
            kept = _row(search, mark, {**hit, "rank": (last["rank"] or 0) + 1})
            kept.position = (last["position"] or 0) + 1
            kept.save(force_insert=True)
    return kept


def _row(search: Search, mark: Mark, hit: dict[str, Any]) -> SearchResult:
    """Never pre-selected, whatever its score: only the original list is."""
    return SearchResult(
        search=search, mark=mark, rank=hit["rank"], position=hit["rank"], score=hit["score"],
        similarities=hit["similarities"], boxes=hit["boxes"], preselected=False, refined=True,
    )  # fmt: skip


def _remember(search: Search, hits: list[dict[str, Any]]) -> None:
    """Note what refining alone has found, for `refined_keep`: an examiner can only select what was shown.

    A row for each mark, so that lists shown at once do not take from each other.
    """
    known = set(
        search.results.filter(mark__number__in=[hit["number"] for hit in hits]).values_list("mark__number", flat=True)
    )
    fresh = {hit["number"]: hit for hit in hits if hit["number"] not in known}
    # In one order: two that write the same marks at once must not wait for each other.
    marks = Mark.objects.filter(number__in=fresh).order_by("pk")
    rows = [_hit(search, mark, fresh[mark.number]) for mark in marks]
    RefinedHit.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["search", "mark"], update_fields=["score", "similarities", "boxes"]
    )


def _hit(search: Search, mark: Mark, hit: dict[str, Any]) -> RefinedHit:
    return RefinedHit(
        search=search, mark=mark, score=hit["score"], similarities=hit["similarities"], boxes=hit["boxes"]
    )


def _shown_before(search: Search, number: str) -> RefinedHit | None:
    """What an earlier release has shown: it kept a file beside the image."""
    try:
        hit = json.loads(media.read(f"{search.image}.refined.json"))[number]
        return _hit(search, mark_get(number), hit)
    except (OSError, ValueError, KeyError, NotThere):
        return None
