"""Questions that a worker answers while somebody waits."""

from typing import Any

import pytest

from search import questions
from search.errors import NotThere, Unavailable
from search.tasks import run_concepts
from tests.broker import Broker


def told(work: Any, worker: Broker, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def send(_: Any, ticket: str) -> bool:
        questions.answer(ticket, work)
        return True

    monkeypatch.setattr(questions, "send", send)
    return questions.ask(run_concepts)


def test_the_answer_comes_back(worker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(lambda: {"marks": 3}, worker, monkeypatch) == {"marks": 3}
    assert not any(worker.lists.values())  # nothing is left in the broker


def test_a_refusal_is_raised_as_it_was_there(worker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> dict[str, Any]:
        raise NotThere("There is no such mark.")

    with pytest.raises(NotThere, match="no such mark"):
        told(refuse, worker, monkeypatch)


def test_a_failure_inside_is_answered_at_once_and_without_its_words(
    worker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> dict[str, Any]:
        raise RuntimeError("inside")

    with pytest.raises(Unavailable, match="failed on this question") as said:
        told(fail, worker, monkeypatch)
    assert "inside" not in str(said.value)


def test_nobody_answers_and_no_broker_are_two_sentences(worker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "send", lambda *_: True)
    with pytest.raises(Unavailable, match="No search worker answered"):
        questions.ask(run_concepts)
    monkeypatch.setattr(questions, "send", lambda *_: False)
    with pytest.raises(Unavailable, match="broker does not answer"):
        questions.ask(run_concepts)
