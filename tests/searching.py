"""Waiting searches carried out in this process, as a search worker does."""

from search.answering import searches_answer
from search.models import Search
from search.queue import Runner


def search_run(*, search_id: str) -> str:
    """Carry out everything that waits; the state of this search then."""
    Runner(searches_answer, wake=lambda: None).work()
    return Search.objects.get(pk=search_id).status
