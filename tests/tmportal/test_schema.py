"""The schema says what the API does: Schemathesis asks every operation, rightly and wrongly, and compares."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings, strategies
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance

from feedback.reports import report_make
from search.models import Search
from search.retrieval.records import Filters
from search.services import search_create
from tests import pictures
from tests.broker import Broker
from tests.searching import search_run
from tests.tmportal.wsgi import one_connection
from tmportal.accounts.tokens import token_create
from tmportal.wsgi import application

pytestmark = pytest.mark.django_db

# What an image is, which words are known and which passwords are right no schema can say.
UNSAID = [positive_data_acceptance]


@pytest.fixture(params=["examiner", "administrator"])
def asking(request: Any, register: Any, worker: Broker) -> Iterator[tuple[Any, dict[str, str], dict[str, str]]]:
    """The schema, the headers of somebody, and the path parameters of a search of theirs that is done and reported."""
    user = request.getfixturevalue(request.param)
    data = pictures.encoded(pictures.mark(3))
    search = search_create(owner=user, data=data, image_name="q.png", filters=Filters(), depth="register")
    assert search_run(search_id=str(search.pk)) == "done"
    report_make(search=Search.objects.get(pk=search.pk), user=user)
    headers = {"Authorization": f"Token {token_create(user)[0]}"}
    with one_connection():
        schema = schemathesis.openapi.from_wsgi("/api/schema/", application, headers=headers)
        yield schema, headers, {"search_id": str(search.pk), "number": "T/003"}


def problems(operation: Any, cases: Any, headers: dict[str, str]) -> str:
    """What Schemathesis finds in this operation; nothing when all is as the schema says."""
    # No worker beats here, so health is 503, as the schema says.
    unsaid = [*UNSAID, not_a_server_error] if "/health/" in operation.path else UNSAID

    @seed(19)
    @settings(max_examples=3, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def ask(case: Any) -> None:
        case.call_and_validate(excluded_checks=unsaid, headers=headers)

    try:
        ask()
    except Unsatisfiable:
        return ""  # there is nothing in it to get wrong
    except (FailureGroup, Failure) as found:
        return f"{operation.label}\n{found}"
    return ""


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_operation_does_what_the_schema_says(asking: Any, mode: GenerationMode) -> None:
    schema, headers, there = asking
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 15
    found = ""
    for operation in operations:
        known = {name: value for name, value in there.items() if f"{{{name}}}" in operation.path}
        cases = operation.as_strategy(generation_mode=mode)
        if known:
            cases = strategies.one_of(cases, operation.as_strategy(generation_mode=mode, path_parameters=known))
        found += problems(operation, cases, headers)
    assert not found, found
