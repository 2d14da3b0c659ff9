"""Saving while the connection, the server or the session is away, in a real browser against the real web server.

What counts is what the database holds: the page may say "✓ Saved" only of that. Only the web server runs.
"""

import re
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Service, WebServer

pytestmark = pytest.mark.e2e

_MAKE = """
import django
django.setup()
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from tests.factories import done_search
from tmportal.bootstrap import bootstrap
bootstrap(demo=False)
for name in ("erin", "olaf"):
    user = get_user_model().objects.create_user(name, password="a-long-password-9")
    user.groups.set([Group.objects.get(name="examiner")])
erin = get_user_model().objects.get(username="erin")
for _ in range(12):
    print(done_search(erin, scores=[0.95 - n / 50 for n in range(30)], threshold=0.85).pk)
"""
# Everything the line says, as it comes.
_WATCH = """
    window.said = [];
    const line = document.querySelector("#saved");
    new MutationObserver(() => window.said.push(line.textContent)).observe(line, { childList: true });
"""
_HURRY = "const slow = AbortSignal.timeout; AbortSignal.timeout = (ms) => slow.call(AbortSignal, ms / 20);"
LAST = "M24"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    server = WebServer(tmp_path_factory.mktemp("saving"), DJANGO_SETTINGS_MODULE="tmportal.settings")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def searches(web: WebServer) -> list[str]:
    """Each test takes one."""
    made = web.prepare("-c", _MAKE).split()
    web.start()
    return made


@pytest.fixture
def service(web: WebServer, searches: list[str]) -> Service:
    return Service(web.base, {name: (name, "a-long-password-9") for name in ("erin", "olaf")}, web.data_dir)


class Held:
    """One search of erin's, and what the database holds of it."""

    def __init__(self, data_dir: Path, search: str) -> None:
        self.address = f"/searches/{search}/"
        self.search = search.replace("-", "")
        self.database = data_dir / "tmportal.sqlite3"

    def ask(self, sql: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.database, timeout=10)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    def changes(self, mark: str) -> list[bool]:
        rows = self.ask(
            "SELECT s.selected FROM feedback_selection s JOIN search_mark m ON m.id = s.mark_id "
            "WHERE s.search_id = ? AND m.number = ? ORDER BY s.id", self.search, mark,
        )  # fmt: skip
        return [bool(row[0]) for row in rows]


@pytest.fixture
def held(service: Service, searches: list[str]) -> Held:
    return Held(service.data_dir, searches.pop())


def opened(page: Any, held: Held) -> Any:
    page.on("dialog", lambda dialog: dialog.accept())  # leaving is asked about; these tests leave
    page.goto(held.address)
    page.locator("li.card").first.wait_for()
    page.evaluate(_WATCH)
    return page


def toggle(page: Any, mark: str = LAST) -> None:
    page.locator(f'li.card[data-mark="{mark}"] .card-face').click()


def state(page: Any, mark: str = LAST) -> tuple[str | None, str | None]:
    """(selected as the card shows it, how far it is saved)."""
    card = page.locator(f'li.card[data-mark="{mark}"]')
    return card.locator(".card-face").get_attribute("aria-pressed"), card.get_attribute("data-save")


def line(page: Any, words: str) -> None:
    expect(page.locator("#saved")).to_contain_text(words, timeout=10_000)


def never_said_saved(page: Any) -> bool:
    return not any("Saved" in words for words in page.evaluate("window.said"))


def test_offline_is_said_at_once_and_the_change_is_saved_when_the_connection_is_back(
    login: Callable[[str], Any], held: Held
) -> None:
    page = opened(login("erin"), held)
    page.context.set_offline(True)
    toggle(page)
    expect(page.locator("#saved")).to_contain_text("Offline: 1 change is not saved yet", timeout=1000)
    assert state(page) == ("true", "failed")
    page.wait_for_timeout(1500)  # a retry or two
    assert never_said_saved(page) and held.changes(LAST) == []
    page.context.set_offline(False)
    line(page, "✓ Saved")
    assert held.changes(LAST) == [True] and state(page) == ("true", "saved")


def test_a_request_that_hangs_is_being_saved_and_not_saved(
    login: Callable[[str], Any], held: Held, web: WebServer
) -> None:
    page = opened(login("erin"), held)
    web.signal(signal.SIGSTOP)
    try:
        toggle(page)
        line(page, "Saving…")
        page.wait_for_timeout(2500)
        assert page.locator("#saved").inner_text() == "Saving…" and state(page) == ("true", "saving")
        assert never_said_saved(page)
    finally:
        web.signal(signal.SIGCONT)
    line(page, "✓ Saved")
    assert held.changes(LAST) == [True]


def test_requests_that_arrive_late_do_not_turn_the_order_round(
    login: Callable[[str], Any], held: Held, web: WebServer
) -> None:
    page = login("erin")
    page.add_init_script(_HURRY)
    opened(page, held)
    web.signal(signal.SIGSTOP)
    try:
        toggle(page)  # on: its request hangs in the server, and so do the next tries
        line(page, "does not answer: 1 change is not saved yet")
        toggle(page)  # off: but the first may have arrived
        page.wait_for_timeout(2500)
    finally:
        web.signal(signal.SIGCONT)
    line(page, "✓ Saved")
    page.wait_for_timeout(500)
    assert held.changes(LAST) == [True, False] and state(page)[0] == "false"


def test_what_a_dead_server_did_not_take_outlives_the_window(
    login: Callable[[str], Any], held: Held, web: WebServer
) -> None:
    page = opened(login("erin"), held)
    web.kill()
    try:
        toggle(page)
        toggle(page, "M1")
        line(page, "The service does not answer: 2 changes are not saved yet")
        second = page.context.new_page()
        page.close(run_before_unload=False)
    finally:
        web.start()
    second.goto("/searches/")
    second.get_by_text("2 changes are not saved yet").wait_for()
    second.get_by_role("link", name="Open the search").click()
    line(second, "✓ Saved")
    assert held.changes(LAST) == [True] and held.changes("M1") == [False]
    assert (state(second)[0], state(second, "M1")[0]) == ("true", "false")
    tally = second.locator("#tally").inner_text()
    second.reload()
    second.locator("li.card").first.wait_for()
    assert second.locator("#tally").inner_text() == tally and "1 added, 1 removed" in tally


def test_an_ended_session_offers_the_login_and_saves_after_it(login: Callable[[str], Any], held: Held) -> None:
    page = opened(login("erin"), held)
    for (table,) in held.ask("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%session'"):
        held.ask(f"DELETE FROM {table}")
    toggle(page)
    line(page, "You are logged out: 1 change is not saved yet.")
    assert held.changes(LAST) == []
    page.locator("#saved").get_by_role("link", name="Log in").click()
    page.get_by_label("User name").fill("erin")
    page.get_by_label("Password").fill("a-long-password-9")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**" + held.address)
    line(page, "✓ Saved")
    assert held.changes(LAST) == [True] and state(page)[0] == "true"


def test_what_one_person_changed_is_not_saved_by_the_next_one_in_the_same_browser(
    login: Callable[[str], Any], held: Held
) -> None:
    page = opened(login("erin"), held)
    page.context.clear_cookies()
    other = page.context.new_page()

    def log_in(name: str) -> None:
        other.context.clear_cookies()
        other.goto("/login/")
        other.get_by_label("User name").fill(name)
        other.get_by_label("Password").fill("a-long-password-9")
        other.get_by_role("button", name="Log in").click()
        other.get_by_role("button", name="Log out").wait_for()

    log_in("olaf")
    toggle(page)
    line(page, "olaf is logged in in this browser now: 1 change is not saved yet. Log in as erin to save.")
    assert state(page) == ("true", "failed") and held.changes(LAST) == []
    other.goto("/searches/")
    assert "not saved yet" not in other.inner_text("main")
    log_in("erin")
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    line(page, "✓ Saved")
    assert held.changes(LAST) == [True]
    by = held.ask("SELECT u.username FROM feedback_selection s JOIN auth_user u ON u.id = s.by_id")
    assert by[-1] == ("erin",)


def test_a_token_that_ran_out_is_renewed(login: Callable[[str], Any], held: Held) -> None:
    page = opened(login("erin"), held)
    page.context.clear_cookies(name="csrftoken")
    page.evaluate("document.querySelector('meta[name=csrf-token]').content = 'x'.repeat(64)")
    toggle(page)
    line(page, "✓ Saved")
    assert held.changes(LAST) == [True]


def test_what_can_never_be_saved_is_told_and_undone(login: Callable[[str], Any], held: Held) -> None:
    page = opened(login("erin"), held)
    held.ask(
        "DELETE FROM search_searchresult "
        "WHERE search_id = ? AND mark_id = (SELECT id FROM search_mark WHERE number = ?)",
        held.search,
        LAST,
    )
    tally = page.locator("#tally").inner_text()
    toggle(page)
    page.get_by_text(f"Mark {LAST} is not among the results of this search.").wait_for()
    assert state(page)[0] == "false" and page.locator("#tally").inner_text() == tally
    toggle(page, "M23")
    line(page, "✓ Saved")
    assert held.changes("M23") == [True]


def test_two_windows_show_and_save_the_same(login: Callable[[str], Any], held: Held) -> None:
    first = opened(login("erin"), held)
    second = opened(first.context.new_page(), held)
    toggle(first)
    expect(second.locator(f'li.card[data-mark="{LAST}"] .card-face')).to_have_attribute("aria-pressed", "true")
    expect(second.locator("#tally")).to_contain_text("1 added")
    line(first, "✓ Saved")
    first.route("**/results/*/", lambda route: route.abort())  # this window alone is cut off
    toggle(first, "M20")
    line(first, "not saved yet")
    toggle(second, "M20")  # off again, by the one who sees it on
    line(second, "✓ Saved")
    line(first, "✓ Saved")
    first.unroute("**/results/*/")
    first.evaluate("window.dispatchEvent(new Event('focus'))")
    first.wait_for_timeout(500)
    assert [state(page, "M20")[0] for page in (first, second)] == ["false", "false"]
    assert held.changes("M20")[-1:] in ([], [False]) and held.changes(LAST) == [True]


def test_another_device_is_not_overwritten_silently(login: Callable[[str], Any], held: Held) -> None:
    here, there = opened(login("erin"), held), opened(login("erin"), held)
    toggle(there)
    line(there, "✓ Saved")
    toggle(there)
    expect(there.locator(f'li.card[data-mark="{LAST}"]')).to_have_attribute("data-save", "saved")
    toggle(here)  # wants it on, and has not seen that it was taken back there
    here.get_by_text("was changed in another window meanwhile and is not selected now").wait_for()
    assert state(here)[0] == "false" and held.changes(LAST) == [True, False]
    toggle(here)
    line(here, "✓ Saved")
    expect(here.locator(f'li.card[data-mark="{LAST}"]')).to_have_attribute("data-save", "saved")
    assert held.changes(LAST) == [True, False, True]


def test_leaving_with_something_unsaved_is_asked_about_and_no_report_is_made_without_it(
    login: Callable[[str], Any], held: Held
) -> None:
    page = login("erin")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.goto(held.address)
    page.locator("li.card").first.wait_for()
    page.route("**/results/*/", lambda route: route.abort())
    toggle(page)
    line(page, "not saved yet")
    page.get_by_role("button", name="Make report").click()
    page.get_by_text("Some changes are not saved yet").wait_for()
    assert held.ask("SELECT * FROM feedback_conclusion WHERE search_id = ?", held.search) == []
    page.close(run_before_unload=True)
    page.wait_for_timeout(300)
    assert asked == ["beforeunload"]
    page.unroute("**/results/*/")
    page.get_by_role("button", name="Make report").click()
    page.get_by_text("The report is ready.").wait_for()
    assert held.changes(LAST) == [True]
    (last_change,) = held.ask("SELECT last_change FROM feedback_conclusion WHERE search_id = ?", held.search)[0]
    assert last_change == held.ask("SELECT max(id) FROM feedback_selection WHERE search_id = ?", held.search)[0][0]
    assert re.match(r"\d+ selected", page.locator("#tally").inner_text())
