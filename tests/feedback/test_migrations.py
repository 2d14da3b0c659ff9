"""Rows from before the guards: shown in the order of rank, with their pre-selection as it was."""

from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

BEFORE = [("search", "0002_search_vienna"), ("feedback", "0001_initial"), ("tuning", "0002_runs_that_propose_encoders")]
AFTER = [("search", "0003_guards"), ("feedback", "0002_guards"), ("tuning", "0003_guards")]


@pytest.mark.django_db(transaction=True)
def test_old_rows_keep_working(request: pytest.FixtureRequest) -> None:
    def to(targets: list[tuple[str, str]]) -> Any:
        executor = MigrationExecutor(connection)
        executor.migrate(targets)
        return MigrationExecutor(connection).loader.project_state(targets).apps

    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    request.addfinalizer(lambda: MigrationExecutor(connection).migrate(newest))
    old = to(BEFORE)
    user = old.get_model("auth", "User").objects.create(username="erin")
    made = old.get_model("search", "ParameterSet").objects.create(parameters={}, made_by="x", reason="x")
    search = old.get_model("search", "Search").objects.create(owner=user, image="x", status="done", parameter_set=made)
    other = old.get_model("search", "Search").objects.create(owner=user, image="x", status="done", parameter_set=made)
    at = timezone.now()
    conclusion = old.get_model("feedback", "Conclusion").objects.create(search=search, kind="done", by=user, at=at)
    for rank in (1, 2, 3):
        mark = old.get_model("search", "Mark").objects.create(number=f"M{rank}", name="m", image="x", image_sha256="x")
        shared = {"mark": mark, "rank": rank, "score": 0.5, "similarities": {}, "preselected": rank == 1}
        old.get_model("search", "SearchResult").objects.create(search=search, **shared)
        old.get_model("feedback", "Impression").objects.create(
            conclusion=conclusion, page=1, seen=True, outcome="kept", examiner=user, parameter_set=made, **shared
        )
    new = to(AFTER)
    for model in (("search", "SearchResult"), ("feedback", "Impression")):
        rows = new.get_model(*model).objects.order_by("rank").values_list("position", "above_cut", "audit", "arm")
        assert list(rows) == [(1, None, False, None), (2, None, False, None), (3, None, False, None)]
    searches = new.get_model("search", "Search").objects
    assert searches.get(pk=search.pk).concluded_at == at and searches.get(pk=other.pk).concluded_at is None
    assert not searches.get(pk=search.pk).plain
