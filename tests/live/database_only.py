"""A plugin of pytest, `-p tests.live.database_only`: only the tests that use the database."""

import pytest

FIXTURES = {"db", "transactional_db"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    using = [i for i in items if i.get_closest_marker("django_db") or FIXTURES & set(getattr(i, "fixturenames", ()))]
    config.hook.pytest_deselected(items=[item for item in items if item not in using])
    items[:] = using
