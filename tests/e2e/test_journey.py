"""An examiner's and an administrator's day, in a real browser against the running service."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import families
from tests.pictures import own_copy

pytestmark = pytest.mark.e2e

SAVED = "✓ Saved"


def upload(page: Any, image: Path) -> None:
    page.goto("/")
    # A search for a held-out file itself would be no evidence.
    page.set_input_files("#image", {"name": image.name, "mimeType": "image/png", "buffer": own_copy(image)})
    page.locator("#preview-image").wait_for()
    page.get_by_role("button", name="Search the register").click()
    page.wait_for_url(re.compile(r"/searches/[0-9a-f-]{36}/"))
    page.locator("li.card").first.wait_for(timeout=60_000)


def card(page: Any, place: int) -> Any:
    return page.locator("li.card").nth(place)


def pressed(page: Any, place: int) -> str:
    return card(page, place).locator(".card-face").get_attribute("aria-pressed")


def wait_saved(page: Any) -> None:
    page.locator("#saved", has_text=SAVED).wait_for()


def test_an_examiner_searches_corrects_and_reports(login: Callable[[str], Any], snap: Callable[..., None]) -> None:
    group, members = next(iter(families().items()))
    page = login("examiner")
    snap(page, "search")
    upload(page, members[0])

    # The family is found: its other members stand on the first page.
    with_family = page.evaluate(
        "async () => (await (await fetch(document.querySelector('#results').dataset.results)).json()).results"
    )
    names = [one["name"] for one in with_family]
    assert names.count(names[0]) >= 2, f"family {group} is not together: {names}"

    # The last on the page is added by click; the first, pre-selected, is removed by key.
    last = page.locator("li.card").count() - 1
    assert (pressed(page, 0), pressed(page, last)) == ("true", "false")
    card(page, last).locator(".card-face").click()
    wait_saved(page)
    card(page, 1).locator(".card-face").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    wait_saved(page)
    assert (pressed(page, 0), pressed(page, last)) == ("false", "true")
    assert "removed" in card(page, 0).inner_text() and "added" in card(page, last).inner_text()
    snap(page, "results")

    page.reload()
    card(page, last).wait_for()
    assert (pressed(page, 0), pressed(page, last)) == ("false", "true")
    assert "1 added, 1 removed" in page.locator("#tally").inner_text()

    # Enter compares side by side; Escape comes back to the same card.
    card(page, 0).locator(".card-face").focus()
    page.keyboard.press("Enter")
    page.locator("dialog#detail[open]").wait_for()
    snap(page, "comparison", full=False)
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.closest('li.card') === document.querySelector('li.card')")

    page.keyboard.press("r")
    link = page.get_by_role("link", name="Open the PDF")
    link.wait_for()
    snap(page, "reported")
    report = page.request.get(link.get_attribute("href"))
    assert report.ok and report.body().startswith(b"%PDF")
    sheet = page.request.get(page.get_by_role("link", name="Download the CSV").get_attribute("href"))
    assert sheet.ok and "parameter_set" in sheet.text()

    page.get_by_role("link", name="History").click()
    row = page.locator(".history-row").first
    assert members[0].name in row.inner_text()
    assert "reported" in row.inner_text()
    snap(page, "history")


def test_pages_turn_by_key_and_stay_after_reload(login: Callable[[str], Any]) -> None:
    page = login("examiner")
    upload(page, list(families().values())[1][0])
    first = card(page, 0).get_attribute("data-mark")
    page.keyboard.press("n")
    page.get_by_text("Page 2 of").wait_for()
    second = card(page, 0).get_attribute("data-mark")
    assert second != first
    page.reload()
    page.get_by_text("Page 2 of").wait_for()
    assert card(page, 0).get_attribute("data-mark") == second
    page.keyboard.press("p")
    page.get_by_text("Page 1 of").wait_for()
    assert card(page, 0).get_attribute("data-mark") == first


def test_a_pasted_image_is_searched_and_fast_clicks_end_where_they_end(login: Callable[[str], Any]) -> None:
    page = login("examiner")
    page.goto("/")
    data = base64.b64encode(list(families().values())[4][0].read_bytes()).decode()
    page.evaluate(
        """(data) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const carrier = new DataTransfer();
            carrier.items.add(new File([bytes], "pasted.webp", { type: "image/webp" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: carrier, cancelable: true }));
        }""",
        data,
    )
    page.get_by_text("pasted.webp").wait_for()
    page.get_by_role("button", name="Search the register").click()
    card(page, 0).wait_for(timeout=60_000)
    last = page.locator("li.card").count() - 1
    for _ in range(5):
        card(page, last).locator(".card-face").click()
    wait_saved(page)
    page.reload()
    card(page, last).wait_for()
    assert pressed(page, last) == "true"
    assert "1 added" in page.locator("#tally").inner_text()


def test_a_change_that_cannot_be_saved_says_so_and_is_saved_later(login: Callable[[str], Any]) -> None:
    page = login("examiner")
    upload(page, list(families().values())[2][0])
    last = page.locator("li.card").count() - 1
    page.route("**/results/**", lambda route: route.abort() if route.request.method == "PATCH" else route.continue_())
    card(page, last).locator(".card-face").click()
    assert pressed(page, last) == "true"  # shown at once, but not as saved
    retry = page.locator("#saved").get_by_role("button", name="Try again")
    retry.wait_for(timeout=20_000)
    assert card(page, last).get_attribute("data-save") == "failed"
    page.get_by_role("button", name="Make report").click()
    page.get_by_text("Some changes are not saved yet").wait_for()
    page.unroute("**/results/**")  # and it is tried again by itself
    wait_saved(page)
    page.reload()
    card(page, last).wait_for()
    assert pressed(page, last) == "true"


def test_more_like_these_makes_another_list_and_a_way_back(
    login: Callable[[str], Any], snap: Callable[..., None]
) -> None:
    page = login("examiner")
    upload(page, list(families().values())[5][0])
    order = page.locator("li.card").evaluate_all("cards => cards.map(card => card.dataset.mark)")
    bar, banner = page.locator("#refine-bar"), page.locator("#refined")
    assert bar.is_hidden() and banner.is_hidden()

    # Two by mouse, one by key; pressed once more, a vote is taken back.
    card(page, 20).locator(".vote.like").click()
    card(page, 21).locator(".vote.like").click()
    card(page, 1).locator(".card-face").focus()
    for _ in range(3):
        page.keyboard.press("-")
    bar.get_by_text("Refine: 2 like, 1 unlike").wait_for()
    assert card(page, 20).locator(".vote.like").get_attribute("aria-pressed") == "true"
    assert card(page, 1).locator(".vote.unlike").get_attribute("aria-pressed") == "true"
    assert pressed(page, 20) == "false"  # a vote selects nothing
    named = page.get_by_role("button", name=re.compile("^More like this: "))
    assert named.count() == page.locator("li.card").count()
    snap(page, "votes")

    bar.get_by_role("button", name="Show").click()
    banner.get_by_text("Refined for this search only: 2 like these, 1 unlike those.").wait_for()
    refined = page.locator("li.card").evaluate_all("cards => cards.map(card => card.dataset.mark)")
    assert refined != order and refined.index(order[20]) < 20 and bar.is_hidden()
    assert "was #21" in card(page, refined.index(order[20])).inner_text()
    snap(page, "refined")

    # A mark that only the refined list shows is selected there, and stands behind the original list.
    fresh = page.locator("li.card", has_text="by refining")
    while not fresh.count():
        where = page.locator("#where").inner_text()
        page.keyboard.press("n")
        page.wait_for_function("(was) => document.querySelector('#where').textContent !== was", arg=where)
    mark = fresh.first.get_attribute("data-mark")
    fresh.first.locator(".card-face").click()
    wait_saved(page)
    page.get_by_role("button", name="Back to the original order").click()
    banner.wait_for(state="hidden")
    page.wait_for_function("(mark) => document.querySelector('li.card').dataset.mark === mark", arg=order[0])
    assert page.locator("li.card").evaluate_all("cards => cards.map(card => card.dataset.mark)") == order
    bar.get_by_text("Refine: 2 like, 1 unlike").wait_for()  # the votes stay until they are cleared
    bar.get_by_role("button", name="Clear").click()
    bar.wait_for(state="hidden")
    assert page.locator(".vote[aria-pressed=true]").count() == 0
    page.goto(page.url.split("?")[0] + "?page=3")
    last = page.locator(f'li.card[data-mark="{mark}"]')
    last.wait_for()
    assert "added" in last.inner_text() and "1 added" in page.locator("#tally").inner_text()


def test_a_bad_file_is_refused_with_a_sentence_and_the_next_one_is_taken(
    login: Callable[[str], Any], tmp_path: Path
) -> None:
    page = login("examiner")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"no picture at all" * 20)
    page.set_input_files("#image", broken)
    page.get_by_role("button", name="Search the register").click()
    alert = page.locator("#form-error")
    alert.wait_for()
    assert alert.inner_text().endswith(".") and page.url.endswith("/")
    upload(page, next(iter(families().values()))[0])


def test_an_administrator_tunes_and_sees_it_in_the_history(
    login: Callable[[str], Any], snap: Callable[..., None]
) -> None:
    examiner = login("examiner")
    upload(examiner, list(families().values())[3][0])
    card(examiner, examiner.locator("li.card").count() - 1).locator(".card-face").click()
    wait_saved(examiner)
    examiner.get_by_role("button", name="Done, no report").click()
    examiner.get_by_text("Done without a report").wait_for()
    address = examiner.url

    page = login("administrator")
    page.goto(address)  # may look, but the selection is not the administrator's
    page.locator("li.card").first.wait_for()
    assert page.get_by_role("button", name="Make report").count() == 0
    assert page.locator(".card-face[aria-pressed]").count() == 0

    page.get_by_role("link", name="Tuning").click()
    for button, kind in (("Dry run", "dry run"), ("Run now", "by hand")):
        page.get_by_role("button", name=button).click()
        page.wait_for_url(re.compile(r"/tuning/runs/\d+/"))
        number = page.url.rstrip("/").rsplit("/", 1)[1]
        page.locator(".verdict-line").wait_for(timeout=240_000)
        assert "failed" not in page.locator("h1").inner_text(), page.locator(".verdict-line").inner_text()
        snap(page, f"run-{kind.replace(' ', '-')}")
        page.get_by_role("link", name="Tuning").first.click()
        row = page.locator("table.runs tbody tr").first
        assert row.locator("th").inner_text() == number
        assert kind in row.inner_text()
    snap(page, "tuning")


def test_an_examiner_is_turned_away_from_tuning(login: Callable[[str], Any], snap: Callable[..., None]) -> None:
    page = login("examiner")
    assert page.get_by_role("link", name="Tuning").count() == 0
    answer = page.goto("/tuning/")
    assert answer.status == 403
    page.get_by_text("Tuning is for administrators").wait_for()
    snap(page, "not-allowed")


def test_an_address_that_is_not_there_is_a_page_of_the_portal(
    login: Callable[[str], Any], snap: Callable[..., None]
) -> None:
    page = login("examiner")
    answer = page.goto("/searches/00000000-0000-4000-8000-000000000000/")
    assert answer.status == 404
    page.get_by_role("heading", name="There is nothing here").wait_for()
    snap(page, "not-there")
