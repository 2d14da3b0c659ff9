"""Hundreds of rows at once, without a model instance for each of them: that is where their time would go."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, Field, ForeignKey, JSONField, Model, QuerySet, UUIDField

_CONVERTED = (DateTimeField, ForeignKey, JSONField, UUIDField)
"""Kinds that a database stores in another form than Python has; the others are handed on as they are."""


def rows_insert(model: type[Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows, each the values of the fields `names` in their order; of a foreign key the primary key."""
    fields = [_field(model, name) for name in names]
    converted = [(place, field) for place, field in enumerate(fields) if isinstance(field, _CONVERTED)]
    values = []
    for row in rows:
        cells = list(row)
        for place, field in converted:
            cells[place] = field.get_db_prep_save(cells[place], connection)
        values.append(cells)
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(f"{_insert(model, fields)} VALUES ({', '.join(['%s'] * len(fields))})", values)


def rows_copy(model: type[Model], columns: Mapping[str, Any], source: QuerySet[Any]) -> None:
    """Insert a row for each one of `source`, inside the database: field -> expression over the source, or its field."""
    selected = source.order_by().annotate(**{f"to_{name}": value for name, value in columns.items()})
    sql, parameters = selected.values_list(*(f"to_{name}" for name in columns)).query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"{_insert(model, [_field(model, name) for name in columns])} {sql}", parameters)


def _field(model: type[Model], name: str) -> Field:
    field = model._meta.get_field(name)
    assert isinstance(field, Field)  # noqa: S101  for the type checker
    return field


def _insert(model: type[Model], fields: Sequence[Field]) -> str:
    quoted = connection.ops.quote_name
    columns = ", ".join(quoted(str(field.column)) for field in fields)
    return f"INSERT INTO {quoted(model._meta.db_table)} ({columns})"
