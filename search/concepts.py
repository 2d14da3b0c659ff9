"""Searching the register by words. The engine's process answers; others ask a search worker through the broker."""

import functools
from typing import Any

from search import questions
from search.engine import engine
from search.errors import Refused, Unavailable
from search.models import Mark
from search.retrieval.concepts import column, find
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.encoders.sentences import SentenceEncoder
from search.retrieval.records import Filters

LONGEST = 200
_NOT_DESCRIBED = (
    "The register was described without meanings, so searching by words is off: "
    "the administrator has to install the semantic weights and run `python manage.py snapshot`."
)


@functools.cache
def _sentences() -> SentenceEncoder:
    return SentenceEncoder()


def words_checked(text: str) -> str:
    """The words without spaces around them. Refused when there are none or too many."""
    words = " ".join(text.split())
    if not words:
        raise Refused("Say in words what the mark shows, such as: coffee cup.")
    if len(words) > LONGEST:
        raise Refused(f"The words are longer than {LONGEST} letters. Say it in fewer.")
    return words


def concept_search(*, text: str, filters: Filters, top: int) -> dict[str, Any]:
    """Marks by meaning, in this process: {words, scanned, snapshot, hits: [{mark, rank, cosine}]}.

    Unavailable with a sentence when the sentence encoder or the register's semantic vectors are missing.
    """
    words = words_checked(text)
    snapshot = engine.serving()[0].snapshot
    if column(snapshot.table.vectors) is None:
        raise Unavailable(_NOT_DESCRIBED)
    try:
        vector = _sentences().encode([words])[0]
    except WeightsUnusable as missing:
        raise Unavailable(str(missing)) from None
    answer = find(snapshot.table, snapshot.columns, vector, filters=filters, top=top)
    hits = [{"mark": hit.number, "rank": hit.rank, "cosine": round(hit.cosine, 4)} for hit in answer.hits]
    return {"words": words, "scanned": answer.scanned, "snapshot": snapshot.id, "hits": hits}


def concept_ask(*, text: str, filters: Filters, top: int) -> dict[str, Any]:
    """The same, answered by a search worker: this process needs neither the weights nor the snapshot."""
    from search.services import filters_to_json
    from search.tasks import run_concepts

    return questions.ask(run_concepts, words_checked(text), filters_to_json(filters), top)


def marks_found(answer: dict[str, Any]) -> list[tuple[dict[str, Any], Mark]]:
    """Each hit with its row in the register; marks deleted since the snapshot are left out."""
    marks = Mark.objects.in_bulk([hit["mark"] for hit in answer["hits"]], field_name="number")
    return [(hit, marks[hit["mark"]]) for hit in answer["hits"] if hit["mark"] in marks]
