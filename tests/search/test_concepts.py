"""Searching by words: in this process, through the broker, by command, API and page."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from rest_framework.test import APIClient

from search import concepts, questions
from search.concepts import concept_ask, concept_search
from search.errors import Refused, Unavailable
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.filtering import MetadataColumns
from search.retrieval.records import Filters, MarkRecord
from tests.broker import Broker
from tests.factories import mark

pytestmark = pytest.mark.django_db

MEANINGS = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
NUMBERS = ["M1", "M2", "M3"]


class Words:
    """Stands for the sentence encoder: "up" is one direction, everything else the other."""

    def encode(self, texts: list[str]) -> Any:
        return np.array([[0, 1] if text == "up" else [1, 0] for text in texts], np.float32)


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Three marks in the register and a snapshot that knows their meanings."""
    for number in NUMBERS:
        mark(number)
    table = SimpleNamespace(numbers=np.array(NUMBERS, dtype=object), vectors={"semantic": MEANINGS})
    columns = MetadataColumns.of([MarkRecord(n, nice=(9,) if n != "M3" else (25,)) for n in NUMBERS])
    snapshot = SimpleNamespace(id="s1", table=table, columns=columns)
    monkeypatch.setattr(concepts.engine, "serving", lambda: (SimpleNamespace(snapshot=snapshot), None))
    monkeypatch.setattr(concepts, "_sentences", Words)
    return snapshot


def test_words_find_the_marks_nearest_in_meaning(described: Any) -> None:
    answer = concept_search(text="  up ", filters=Filters(), top=2)
    assert answer["words"] == "up" and answer["scanned"] == 3 and answer["snapshot"] == "s1"
    assert answer["hits"] == [{"mark": "M3", "rank": 1, "cosine": 1.0}, {"mark": "M2", "rank": 2, "cosine": 0.8}]


@pytest.mark.parametrize("text", ["", "   ", "x" * 201])
def test_no_words_and_far_too_many_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        concept_search(text=text, filters=Filters(), top=2)


def test_a_register_without_meanings_says_what_to_do(described: Any) -> None:
    described.table.vectors = {"general": MEANINGS}
    with pytest.raises(Unavailable, match=r"manage\.py snapshot"):
        concept_search(text="up", filters=Filters(), top=2)


def test_missing_sentence_weights_end_in_their_sentence(described: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: Any, texts: list[str]) -> None:
        raise WeightsUnusable("The sentence encoder's weights are not installed.")

    monkeypatch.setattr(Words, "encode", missing)
    with pytest.raises(Unavailable, match="not installed"):
        concept_search(text="up", filters=Filters(), top=2)


def test_a_worker_answers_through_the_broker(described: Any, worker: Broker) -> None:
    answer = concept_ask(text="up", filters=Filters(nice=(9,)), top=5)
    assert [hit["mark"] for hit in answer["hits"]] == ["M2", "M1"]
    described.table.vectors = {}
    with pytest.raises(Unavailable, match="searching by words is off"):
        concept_ask(text="up", filters=Filters(), top=5)


def test_without_worker_or_broker_the_answer_is_a_sentence(worker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "send", lambda *_: True)
    with pytest.raises(Unavailable, match="No search worker answered"):
        concept_ask(text="up", filters=Filters(), top=5)
    monkeypatch.setattr(questions, "send", lambda *_: False)
    with pytest.raises(Unavailable, match="broker does not answer"):
        concept_ask(text="up", filters=Filters(), top=5)


def test_the_command_prints_marks_and_json(described: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("concepts", "up", "--top", "2", "--json")
    rows = json.loads(capsys.readouterr().out)["hits"]
    assert [(row["mark"], row["name"]) for row in rows] == [("M3", "Mark M3"), ("M2", "Mark M2")]
    call_command("concepts", "up", "--top", "1")
    shown = capsys.readouterr().out
    assert "M3" in shown and "3 marks compared" in shown
    with pytest.raises(CommandError, match="at least 1"):
        call_command("concepts", "up", "--top", "0")


def test_the_api_gives_marks_with_thumbnails(api: APIClient, described: Any, worker: Broker) -> None:
    answer = api.get("/api/concepts/?q=up&nice=9&top=1").json()
    assert answer["scanned"] == 2 and answer["words"] == "up"
    assert answer["results"] == [
        {
            "mark": "M2",
            "rank": 1,
            "cosine": 0.8,
            "name": "Mark M2",
            "owner": "",
            "thumbnail": "/api/marks/M2/thumbnail/",
        }
    ]


def test_the_api_refuses_in_the_one_error_shape(api: APIClient, described: Any, worker: Broker) -> None:
    for query, status in (("", 400), ("q=", 400), ("q=up&top=0", 400), ("q=up&nice=99", 400)):
        answer = api.get(f"/api/concepts/?{query}")
        assert answer.status_code == status and answer.json()["error"]["message"]
    described.table.vectors = {}
    off = api.get("/api/concepts/?q=up")
    assert off.status_code == 503 and "searching by words is off" in off.json()["error"]["message"]
    assert APIClient().get("/api/concepts/?q=up").status_code == 401


def test_the_page_shows_marks_examples_and_what_is_wrong(
    client: Client, examiner: Any, described: Any, worker: Broker
) -> None:
    assert client.get("/words/shows/").status_code == 302
    client.force_login(examiner)
    assert client.get("/concepts/?q=up&nice=9").headers["Location"] == "/words/shows/?q=up&nice=9"
    empty = client.get("/words/shows/").content.decode()
    assert "For example" in empty and 'name="q"' in empty
    found = client.get("/words/shows/?q=up").content.decode()
    assert found.index("Mark M3") < found.index("Mark M2") < found.index("Mark M1")
    assert "3 of 3 marks" in found and "/api/marks/M3/thumbnail/" in found
    none = client.get("/words/shows/?q=up&jurisdiction=XX").content.decode()
    assert "No mark passes these filters" in none
    described.table.vectors = {}
    assert "searching by words is off" in client.get("/words/shows/?q=up").content.decode()


def test_words_on_the_page_are_escaped(client: Client, examiner: Any, described: Any, worker: Broker) -> None:
    client.force_login(examiner)
    shown = client.get("/words/shows/", {"q": "<script>alert(1)</script>"}).content.decode()
    assert "<script>alert" not in shown
