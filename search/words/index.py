"""Candidates from the database: which rows hold these letters, and which share most of them with a name.

SQLite keeps an FTS5 index of trigrams, written by triggers in the transaction that writes the row. PostgreSQL keeps
`pg_trgm` indexes; where that extension cannot be made the rows themselves are read, which finds the same and takes
seconds among millions. What is missing is made after each `migrate`, as a migration that rebuilds the table of marks
takes its triggers away.
"""

import contextlib
import functools
import logging
import time
from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, connection, transaction

log = logging.getLogger(__name__)

TABLE = "search_mark"
COLUMNS = ("spelled", "sounds", "owner_spelled", "numbers")
READ_AT_MOST = 60_000
"""Entries of trigrams that one question reads, the rarest trigrams first."""
_LEAST_TRIGRAMS = 3
_LEAST_SIMILARITY = "0.35"  # of pg_trgm, from where a name is proposed
_RECOUNTED_SECONDS = 3600
_NO_EXTENSION = (
    "PostgreSQL's extension pg_trgm cannot be made here, so searching by name reads every mark. "
    "Have a superuser run `CREATE EXTENSION pg_trgm` in this database, then restart the service."
)
# FTS5 tables: name -> columns. Names and sounds differ by case; owners and numbers lie apart, or one's letters
# would count for the other.
_TEXTS = {"search_words": ("spelled", "sounds"), "search_files": ("owner_spelled", "numbers")}
_TERMS = "search_words_terms"


def trigrams(keys: Sequence[str]) -> list[str]:
    """Of barred keys, each once: "|re", "red", "ed|"."""
    texts = [f"|{key}|" for key in keys]
    return list(dict.fromkeys(text[at : at + 3] for text in texts for at in range(len(text) - 2)))


def ensure(**_: Any) -> None:
    """Make what is missing of the index; safe to repeat."""
    if TABLE not in connection.introspection.table_names():
        return
    if connection.vendor == "sqlite":
        _ensure_fts5()
    elif connection.vendor == "postgresql":
        _ensure_pg_trgm()


def remove() -> None:
    """Take the index away: its triggers hold on to the columns. PostgreSQL's indexes go with the columns themselves."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            for table, columns in _TEXTS.items():
                for name in _triggers(table, columns):
                    cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
            for table in (_TERMS, *_TEXTS):
                cursor.execute(f"DROP TABLE IF EXISTS {table}")


def complaint() -> str:
    """What an administrator should know of the index; "" when it is as it should be."""
    return _NO_EXTENSION if connection.vendor == "postgresql" and not _has_pg_trgm() else ""


def holding(column: str, text: str, limit: int) -> list[int]:
    """Marks whose barred column holds this text of three characters or more, which has no wildcards."""
    if connection.vendor == "sqlite":
        table = next(name for name, columns in _TEXTS.items() if column in columns)
        # `*` around a text of three letters or more is looked up by its trigrams.
        return _ids(f"SELECT rowid FROM {table} WHERE {column} GLOB %s LIMIT %s", [f"*{text}*", limit])  # noqa: S608
    return _ids(f"SELECT id FROM {TABLE} WHERE {column} LIKE %s LIMIT %s", [f"%{text}%", limit])  # noqa: S608


def sharing(column: str, keys: Sequence[str], limit: int) -> list[int]:
    """Marks that share most trigrams with these keys; column: `spelled` or `sounds`."""
    if not keys:
        return []
    sql, parameters = sharing_sql(column, keys, limit)
    return _ids(sql, parameters)


def sharing_sql(column: str, keys: Sequence[str], limit: int) -> tuple[str, list[Any]]:
    """The statement that `sharing` runs on this database."""
    if connection.vendor == "sqlite":
        wanted = _rarest(trigrams(keys))
        places = ", ".join(["%s"] * len(wanted))
        return (
            f"SELECT doc, COUNT(*) AS shared FROM {_TERMS} WHERE term IN ({places})"  # noqa: S608
            " GROUP BY doc ORDER BY shared DESC, doc LIMIT %s",
            [*wanted, limit],
        )
    if _has_pg_trgm():
        alike = [f"word_similarity(%s, {column})"] * len(keys)
        found = [f"%s <%% {column}"] * len(keys)
        return (
            f"SELECT id FROM {TABLE} WHERE {' OR '.join(found)}"  # noqa: S608
            f" ORDER BY GREATEST({', '.join(alike)}) DESC, id LIMIT %s",
            [*keys, *keys, limit],
        )
    wanted = trigrams(keys)
    shared = " + ".join([f"(strpos({column}, %s) > 0)::int"] * len(wanted))
    return (
        f"SELECT id FROM (SELECT id, {shared} AS shared FROM {TABLE}) AS counted WHERE shared > 0"  # noqa: S608
        " ORDER BY shared DESC, id LIMIT %s",
        [*wanted, limit],
    )


def _ids(sql: str, parameters: Sequence[Any]) -> list[int]:
    with contextlib.ExitStack() as stack:
        cursor = stack.enter_context(connection.cursor())
        if "<%" in sql:
            stack.enter_context(transaction.atomic())  # the setting ends with it; SQLite would lock writers out
            cursor.execute("SELECT set_config('pg_trgm.word_similarity_threshold', %s, true)", [_LEAST_SIMILARITY])
        cursor.execute(sql, parameters)
        return [row[0] for row in cursor.fetchall()]


def _rarest(wanted: Sequence[str]) -> list[str]:
    """As many of the trigrams as may be read, the rarest first: they tell most and cost least."""
    turn = int(time.monotonic() // _RECOUNTED_SECONDS)
    counted = sorted((_count(one, turn), one) for one in wanted)
    chosen: list[str] = []
    total = 0
    for count, one in counted:
        total += count
        if total > READ_AT_MOST and len(chosen) >= _LEAST_TRIGRAMS:
            break
        chosen.append(one)
    return chosen


@functools.lru_cache(maxsize=50_000)
def _count(trigram: str, turn: int) -> int:
    """How many marks have it, roughly: counted once an hour."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM {_TERMS} WHERE term = %s LIMIT %s)",  # noqa: S608
            [trigram, READ_AT_MOST],
        )
        return int(cursor.fetchone()[0])


def _ensure_fts5() -> None:
    wanted = {_TERMS: f"CREATE VIRTUAL TABLE {_TERMS} USING fts5vocab('search_words', 'instance')"}
    for table, columns in _TEXTS.items():
        wanted = {table: _fts5(table, columns), **wanted, **_triggers(table, columns)}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'trigger')")
        there = {row[0] for row in cursor.fetchall()}
        missing = [name for name in wanted if name not in there]
        for name in missing:
            cursor.execute(wanted[name])
        # Rows may have changed while a trigger was away.
        for table in _TEXTS if missing else ():
            cursor.execute(f"INSERT INTO {table} ({table}) VALUES ('rebuild')")  # noqa: S608


def _fts5(table: str, columns: Sequence[str]) -> str:
    return (
        f"CREATE VIRTUAL TABLE {table} USING fts5({', '.join(columns)}, content='{TABLE}', content_rowid='id',"
        " tokenize='trigram case_sensitive 1', detail=none)"
    )


def _triggers(table: str, columns: Sequence[str]) -> dict[str, str]:
    names = ", ".join(columns)
    new, old = (", ".join(f"{row}.{column}" for column in columns) for row in ("new", "old"))
    add = f"INSERT INTO {table} (rowid, {names}) VALUES (new.id, {new});"  # noqa: S608
    drop = f"INSERT INTO {table} ({table}, rowid, {names}) VALUES ('delete', old.id, {old});"  # noqa: S608
    changed = " OR ".join(f"new.{column} IS NOT old.{column}" for column in ("id", *columns))
    return {
        f"{table}_added": f"CREATE TRIGGER {table}_added AFTER INSERT ON {TABLE} BEGIN {add} END",
        f"{table}_gone": f"CREATE TRIGGER {table}_gone AFTER DELETE ON {TABLE} BEGIN {drop} END",
        f"{table}_changed": (
            f"CREATE TRIGGER {table}_changed AFTER UPDATE ON {TABLE} WHEN {changed} BEGIN {drop} {add} END"
        ),
    }


def _ensure_pg_trgm() -> None:
    if not _has_pg_trgm():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        except DatabaseError as error:
            log.warning("%s (%s)", _NO_EXTENSION, str(error).splitlines()[0])
            return
    with connection.cursor() as cursor:
        for column in COLUMNS:
            cursor.execute(
                f"CREATE INDEX IF NOT EXISTS {TABLE}_{column}_trgm ON {TABLE} USING gin ({column} gin_trgm_ops)"
            )


def _has_pg_trgm() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")
        return cursor.fetchone() is not None
