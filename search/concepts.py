"""Searching the register by words. The engine's process answers; others ask a search worker through the broker."""

import functools
import json
import uuid
from typing import Any

import redis

from search.broker import connect, send
from search.engine import engine
from search.errors import Refused, Unavailable
from search.models import Mark
from search.retrieval.concepts import column, find
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.encoders.sentences import SentenceEncoder
from search.retrieval.records import Filters

LONGEST = 200
_KEY = "tmportal:concepts:"
_PATIENCE_SECONDS = 15
_KEEP_SECONDS = 60
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
    snapshot = engine.searcher().snapshot
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
    """The same, answered by a search worker: this process needs neither the weights nor the snapshot.

    Nothing is kept: an answer that nobody waits for any more expires in the broker.
    """
    from search.services import filters_to_json
    from search.tasks import run_concepts

    words = words_checked(text)
    ticket = uuid.uuid4().hex
    if not send(run_concepts, ticket, words, filters_to_json(filters), top):
        raise Unavailable("The broker does not answer just now. Try again in a moment.")
    try:
        with connect_patient() as client:
            found = client.blpop([_KEY + ticket], timeout=_PATIENCE_SECONDS)
    except redis.RedisError:
        raise Unavailable("The broker does not answer just now. Try again in a moment.") from None
    if not found:
        raise Unavailable("No search worker answered. Try again in a moment.")
    answer: dict[str, Any] = json.loads(found[1])
    if "error" in answer:
        raise Unavailable(answer["error"])
    return answer


def concept_answer(*, ticket: str, text: str, filters: Filters, top: int) -> None:
    """What a worker does with a question: the answer, or the sentence why there is none, under the ticket."""
    try:
        answer = concept_search(text=text, filters=filters, top=top)
    except Refused as refusal:
        answer = {"error": str(refusal)}
    with connect() as client:
        client.rpush(_KEY + ticket, json.dumps(answer))
        client.expire(_KEY + ticket, _KEEP_SECONDS)


def connect_patient() -> redis.Redis:
    """A client that waits for as long as an answer may take."""
    client = connect()
    client.connection_pool.connection_kwargs["socket_timeout"] = _PATIENCE_SECONDS + 5
    return client


def marks_found(answer: dict[str, Any]) -> list[tuple[dict[str, Any], Mark]]:
    """Each hit with its row in the register; marks deleted since the snapshot are left out."""
    marks = Mark.objects.in_bulk([hit["mark"] for hit in answer["hits"]], field_name="number")
    return [(hit, marks[hit["mark"]]) for hit in answer["hits"] if hit["mark"] in marks]
