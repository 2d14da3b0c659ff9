"""Marks found by what was typed, on the database that runs the tests: SQLite, PostgreSQL with and without pg_trgm."""

import threading
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from search.errors import Refused
from search.models import Mark
from search.retrieval.records import Filters
from search.words import index
from search.words.fields import keys_write
from search.words.finding import words_find
from search.words.match import BEGINS, NUMBER, OWNER, PART, PART_OF_NUMBER, SAME, SOUNDS, SPELLED

pytestmark = pytest.mark.django_db

NAMES = [
    "Red Hat", "Red Hat Enterprise", "Redhead", "KWIX", "Adidas", "Газпром", "BP", "4ever", "Star Ways", "The Co.",
    "O'Reilly \"Books\"", "100% Café", "😀", "שלום",
]  # fmt: skip


@pytest.fixture
def marks(db: Any) -> None:
    Mark.objects.bulk_create(
        Mark(
            number=f"EM/018-{n:03}", name=name, owner=f"Owner {n} Holdings", image=f"marks/{n}", image_sha256=str(n),
            jurisdiction="EM" if n % 2 else "US", nice_classes=[9] if n else [25],
        )
        for n, name in enumerate(NAMES)
    )  # fmt: skip


def found(text: str, filters: Filters | None = None) -> dict[str, tuple[str, ...]]:
    hits = words_find(text=text, filters=filters or Filters(), top=48).hits
    return {mark.name: judged.ways for mark, judged in hits}


@pytest.mark.parametrize(
    ("typed", "name", "way"),
    [
        ("red hat", "Red Hat", SAME), ("RED hat inc.", "Red Hat", SAME), ("red", "Red Hat", BEGINS),
        ("hat", "Red Hat Enterprise", PART), ("quicks", "KWIX", SOUNDS), ("addidas", "Adidas", SPELLED),
        ("gasprom", "Газпром", SPELLED), ("b.p.", "BP", SAME), ("forever", "4ever", SAME),
        ("starway", "Star Ways", SPELLED),
        ("em018003", "KWIX", NUMBER), ("018 003", "KWIX", NUMBER), ("8003", "KWIX", PART_OF_NUMBER),
        ("owner 3", "KWIX", OWNER),
        ("שלום", "שלום", SAME), ("oreilly", "O'Reilly \"Books\"", BEGINS), ("100 percent cafe", "100% Café", SAME),
    ],
)  # fmt: skip
def test_a_mark_is_found_and_how(marks: None, typed: str, name: str, way: str) -> None:
    assert way in found(typed).get(name, ())


def test_the_same_name_comes_first_and_strangers_not_at_all(marks: None) -> None:
    names = list(found("red hat"))
    assert names[0] == "Red Hat" and set(names) <= {"Red Hat", "Red Hat Enterprise", "Redhead"}
    assert found("zzyzx qqq") == {}


def test_excluded_words_and_filters_leave_marks_out(marks: None) -> None:
    assert list(found("red -hat")) == ["Redhead"]
    assert list(found("red hat", Filters(jurisdictions=("US",)))) == ["Red Hat", "Redhead"]
    assert list(found("red hat", Filters(nice=(25,)))) == ["Red Hat"]


@pytest.mark.parametrize(
    "typed",
    [
        "???", "😀", "\x01\x02", "'; DROP TABLE search_mark; --", '" OR 1=1', "NEAR(a b)", "red* AND", "{spelled}: x",
        "%_[*]?", "-", "- -", "-red", "\u202eabc", "a", "a b", "|", "||red||", "*|*",
        "e" * 200, "NOT", "\\", "$$", "&", "1",
    ],
)  # fmt: skip
def test_whatever_is_typed_is_answered(marks: None, typed: str) -> None:
    assert Mark.objects.count() == len(NAMES)
    words_find(text=typed, filters=Filters(), top=5)
    assert Mark.objects.count() == len(NAMES)


@pytest.mark.parametrize("typed", ["???", "😀", "\x01\x02", "-red", "%_[*]?"])
def test_nothing_is_near_what_cannot_be_read(marks: None, typed: str) -> None:
    assert found(typed) == {}


@pytest.mark.parametrize("typed", ["", "  ", "x" * 201, "x" * 10_000])
def test_nothing_and_far_too_much_is_refused(marks: None, typed: str) -> None:
    with pytest.raises(Refused):
        words_find(text=typed, filters=Filters(), top=5)


def test_the_index_follows_a_change_and_a_deletion(marks: None) -> None:
    mark = Mark.objects.get(name="KWIX")
    mark.name = "Blumenau"
    mark.save()
    assert "KWIX" not in found("kwix") and SAME in found("blumenau")["Blumenau"]
    mark.delete()
    assert found("blumenau") == {} and index.sharing("spelled", ["blumenau"], 5) == []


def test_what_a_transaction_takes_back_is_not_found(marks: None) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        Mark.objects.create(number="X1", name="Blumenau", image="marks/x", image_sha256="x")
        assert "Blumenau" in found("blumenau")
        raise RuntimeError
    assert found("blumenau") == {} and index.sharing("sounds", ["BLUMENAU"], 50) == []


def test_keys_of_rows_that_had_none_are_written(marks: None) -> None:
    Mark.objects.update(spelled="", sounds="", owner_spelled="", numbers="")
    assert found("red hat") == {}
    keys_write(Mark)
    assert SAME in found("red hat")["Red Hat"] and NUMBER in found("em018003")["KWIX"]


def test_an_index_that_is_gone_is_made_again_after_migrations(marks: None) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL keeps its indexes itself")
    with connection.cursor() as cursor:  # as a migration that rebuilds the table of marks does
        cursor.execute("DROP TRIGGER search_words_added")
    Mark.objects.create(number="X1", name="Blumenau", image="marks/x", image_sha256="x")
    assert "Blumenau" not in found("blumenau")
    call_command("migrate", verbosity=0)
    assert SAME in found("blumenau")["Blumenau"]
    with connection.cursor() as cursor:
        for table in ("search_words", "search_files"):
            cursor.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")


def test_postgresql_uses_its_extension_or_says_how_to_get_it(db: Any) -> None:
    if connection.vendor != "postgresql":
        assert index.complaint() == ""
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'")
        there = cursor.fetchone() is not None
        cursor.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'search_mark'")
        indexes = {row[0] for row in cursor.fetchall()}
    assert there == (index.complaint() == "") == ("search_mark_spelled_trgm" in indexes)
    assert there or "CREATE EXTENSION pg_trgm" in index.complaint()


@pytest.mark.django_db(transaction=True)
def test_marks_are_found_while_others_are_written(marks: None) -> None:
    """Readers of another connection see whole marks only."""
    problems: list[str] = []

    def read() -> None:
        try:
            for _ in range(20):
                for mark, judged in words_find(text="blumenau", filters=Filters(), top=48).hits:
                    if SAME not in judged.ways or not mark.name.startswith("Blumenau"):
                        problems.append(mark.name)
        finally:
            connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(20):
        Mark.objects.create(number=f"X{n}", name="Blumenau", image=f"marks/x{n}", image_sha256=f"x{n}")
    reader.join()
    assert not problems and len(words_find(text="blumenau", filters=Filters(), top=48).hits) == 20


@pytest.mark.django_db(transaction=True)
def test_looking_waits_for_no_writer(marks: None) -> None:
    writes, done = threading.Event(), threading.Event()

    def write() -> None:
        try:
            with transaction.atomic():
                Mark.objects.create(number="X1", name="Blumenau", image="marks/x", image_sha256="x")
                writes.set()
                done.wait(60)
        finally:
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert writes.wait(60)
        assert SAME in found("red hat")["Red Hat"] and found("blumenau") == {}
    finally:
        done.set()
        writer.join()
    assert SAME in found("blumenau")["Blumenau"]


@pytest.mark.django_db(transaction=True)
def test_marks_from_before_are_found_once_their_database_is_upgraded(request: pytest.FixtureRequest) -> None:
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    request.addfinalizer(lambda: MigrationExecutor(connection).migrate(newest))
    before = [("search", "0007_fair_queue")]
    MigrationExecutor(connection).migrate(before)
    old = MigrationExecutor(connection).loader.project_state(before).apps.get_model("search", "Mark")
    old.objects.create(number="X1", name="Blumenau", owner="Owner", image="marks/x", image_sha256="x")
    MigrationExecutor(connection).migrate(newest)
    assert SAME in found("blumenau")["Blumenau"] and NUMBER in found("x-1")["Blumenau"]
