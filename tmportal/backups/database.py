"""The whole database as files, as it was at one instant, and back. No programs of the server are needed for it.

SQLite: its online backup API, into one file. PostgreSQL: COPY of every table inside one transaction that sees one
instant, so that the release of the server or of its tools does not matter; the tables come from the migrations.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from search.errors import Refused

Progress = Callable[[int], object]
"""Called with the number of bytes just written."""
Migrations = list[list[str]]
"""[application, name] of each that was applied."""

FOLDER = "database"
_FILE = "tmportal.sqlite3"
_TABLES = "tables.json"
_STEP = 2048  # pages: a step of some milliseconds
_APPLIED = "SELECT app, name FROM django_migrations ORDER BY app, name"
_FILES = (
    "SELECT image FROM search_mark UNION SELECT image FROM search_search"
    " UNION SELECT pdf FROM feedback_report UNION SELECT csv FROM feedback_report"
)


def sqlite_file() -> Path | None:
    """Where the database lies; None where a server keeps it."""
    return Path(str(settings.DATABASES["default"]["NAME"])) if connection.vendor == "sqlite" else None


def dump(folder: Path, progress: Progress) -> tuple[Migrations, set[str]]:
    """Write the database into `folder`. Returns its migrations, and the stored names of all files its rows name."""
    file = sqlite_file()
    folder.mkdir(mode=0o700)
    return _dump_postgresql(folder, progress) if file is None else _dump_sqlite(file, folder / _FILE, progress)


def _dump_sqlite(file: Path, copy: Path, progress: Progress) -> tuple[Migrations, set[str]]:
    if not file.is_file():
        raise Refused(f"There is no database {file}: nothing to back up.")
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=30)) as source:
        # One read transaction over all steps: writers go on, and the copy does not begin anew with each of them.
        source.execute("BEGIN")
        source.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        size = source.execute("PRAGMA page_size").fetchone()[0]
        done = 0

        def tell(_: int, remaining: int, total: int) -> None:
            nonlocal done
            progress((total - remaining - done) * size)
            done = total - remaining

        with closing(sqlite3.connect(copy)) as target:
            source.backup(target, pages=_STEP, progress=tell, sleep=0)
            damage = [row[0] for row in target.execute("PRAGMA quick_check").fetchall() if row[0] != "ok"]
            if damage:
                raise Refused(f"The database is damaged ({damage[0]}): a backup of it would be as well.")
            applied = [list(row) for row in target.execute(_APPLIED)]
            return applied, {row[0] for row in target.execute(_FILES)}


def _dump_postgresql(folder: Path, progress: Progress) -> tuple[Migrations, set[str]]:
    columns: dict[str, list[str]] = {}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for table in _tables(cursor):
            columns[table] = [c.name for c in connection.introspection.get_table_description(cursor, table)]
            with (
                (folder / f"{table}.copy").open("wb") as out,
                _copy(cursor, table, columns[table], "TO STDOUT") as rows,
            ):
                for data in rows:
                    out.write(data)
                    progress(len(data))
        cursor.execute(_APPLIED)
        applied = [list(row) for row in cursor.fetchall()]
        cursor.execute(_FILES)
        names = {row[0] for row in cursor.fetchall()}
    (folder / _TABLES).write_text(json.dumps(columns, indent=1), "utf-8")
    return applied, names


def _tables(cursor: CursorWrapper) -> list[str]:
    """Those of this service: other software may keep its own in the same database."""
    ours = {*connection.introspection.django_table_names(only_existing=False), "django_migrations"}
    return sorted(ours & set(connection.introspection.table_names(cursor)))


@contextmanager
def _copy(cursor: CursorWrapper, table: str, columns: list[str], way: str) -> Iterator[Any]:
    quote = connection.ops.quote_name
    statement = f"COPY {quote(table)} ({', '.join(map(quote, columns))}) {way}"
    with cursor.copy(statement) as rows:
        yield rows


def is_empty() -> bool:
    """Of the database of a server: whether nothing was ever made in it."""
    with connection.cursor() as cursor:
        return not _tables(cursor)


def load(folder: Path, applied: Migrations, progress: Progress) -> None:
    """Replace all tables of the server's database by those in `folder`."""
    quote = connection.ops.quote_name
    columns: dict[str, list[str]] = json.loads((folder / _TABLES).read_text("utf-8"))
    with transaction.atomic(), connection.cursor() as cursor:
        there = _tables(cursor)
        if there:
            cursor.execute(f"DROP TABLE {', '.join(map(quote, there))} CASCADE")
    executor = MigrationExecutor(connection)
    executor.migrate(_last(executor.loader, applied))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(map(quote, columns))} CASCADE")
        for table, names in columns.items():
            with (folder / f"{table}.copy").open("rb") as source, _copy(cursor, table, names, "FROM STDIN") as rows:
                while data := source.read(1 << 20):
                    rows.write(data)
                    progress(len(data))
        for table in columns:
            for sequence in connection.introspection.get_sequences(cursor, table):
                column = quote(sequence["column"])
                cursor.execute(
                    f"SELECT setval(%s, COALESCE(MAX({column}), 1), MAX({column}) IS NOT NULL) FROM {quote(table)}",  # noqa: S608
                    [sequence["name"]],
                )


def _last(loader: MigrationLoader, applied: Migrations) -> list[tuple[str, str]]:
    """Of each application the migrations that no other applied one of it builds on: where to migrate to."""
    nodes = {(app, name) for app, name in applied} & set(loader.graph.nodes)
    built_on = {parent for node in nodes for parent in loader.get_migration(*node).dependencies if parent[0] == node[0]}
    return sorted(nodes - built_on)
