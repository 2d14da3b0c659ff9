"""An examiner looks for marks by their names and by what they show."""

import csv
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import DEMO

pytestmark = pytest.mark.e2e


def test_a_mark_is_found_by_its_name_and_becomes_the_query(
    login: Callable[[str], Any], snap: Callable[..., None]
) -> None:
    page = login("examiner")
    page.get_by_role("link", name="Words", exact=True).click()
    assert page.get_by_role("heading", name="What can be typed").count() == 1
    snap(page, "names-empty")
    page.get_by_role("searchbox").fill("???")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing close").wait_for()
    snap(page, "names-nothing")
    number = _first_number()
    page.get_by_role("searchbox").fill(number.lower().replace("-", " "))
    page.keyboard.press("Enter")
    card = page.locator(".concept-open").first
    card.wait_for()
    assert page.locator(".badge").first.inner_text() == "same number"
    name = card.get_attribute("data-name")
    page.get_by_role("searchbox").fill(name[:1] + name[2:] if len(name) > 5 else name)
    page.keyboard.press("Enter")
    page.locator(f'.concept-open[data-name="{name}"]').first.wait_for()
    snap(page, "names")
    page.locator(".concept-open").first.focus()
    page.keyboard.press("Enter")
    page.locator("#mark[open]").wait_for()
    snap(page, "names-open", full=False)
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.classList.contains('concept-open')")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Search with this image").click()
    page.locator("li.card").first.wait_for(timeout=60_000)


def _first_number() -> str:
    with (DEMO / "register.csv").open(newline="") as file:
        return next(csv.DictReader(file))["number"]


def test_words_find_marks_by_what_they_show(login: Callable[[str], Any], snap: Callable[..., None]) -> None:
    page = login("examiner")
    page.get_by_role("link", name="Words", exact=True).click()
    page.get_by_role("link", name="What it shows", exact=True).click()
    assert page.get_by_role("heading", name="For example").count() == 1
    page.get_by_role("searchbox").fill("cat")
    page.get_by_role("button", name="Find marks").click()
    page.locator(".concept-card").first.wait_for(timeout=60_000)
    assert page.locator(".concept-card").count() >= 12
    page.wait_for_function(
        "() => [...document.querySelectorAll('.concept-card img')].slice(0, 6).every(one => one.naturalWidth > 0)"
    )
    snap(page, "words")
