"""What simulated years came to, for administrators."""

import json
from html import escape
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tuning import simulated

pytestmark = pytest.mark.django_db


def interval(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1}


def figures(closed: float) -> dict[str, Any]:
    names = ("map_left_points", "f1_left_points", "promotions", "rollbacks", "gap_closed_f1")
    return {
        "gap_closed_map": interval(closed),
        **{name: interval(1.5) for name in names},
        "worst_drop_of_any_seed": 0.2,
    }


REPORT = {
    "world": {"queries": 120, "marks": 2400}, "searches": 200, "weeks": 12, "seeds": 3,
    "arms": {
        "static": {"equal": {**figures(0.0), "gap_closed_map": None}},
        "ours": {"equal": figures(0.83), "equal, adversarial examiners": figures(0.7)},
        "ours-without-follow_up": {"equal, adversarial examiners": figures(0.4)},
    },
}  # fmt: skip


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    file = tmp_path / "measured.json"
    monkeypatch.setattr(simulated, "MEASURED", file)
    return file


def test_each_start_profile_and_guard_has_its_row(client: Client, administrator: Any, measured: Path) -> None:
    measured.write_text(json.dumps(REPORT), "utf-8")
    client.force_login(administrator)
    page = client.get("/tuning/simulation/").content.decode()
    for words in ("Equal weights", "never changes", "83 %", "adversarial examiners", "without follow-up", "40 %", "–"):
        assert words in page, words
    assert "Cut too low" not in page
    assert "When is not recorded" in page  # a file from before it was kept
    assert 'src="/static/loop/equal-map100.svg"' in page


def test_the_page_says_first_that_it_is_not_the_offices_register_and_when_it_was_made(
    client: Client, administrator: Any
) -> None:
    client.force_login(administrator)
    report = json.loads(simulated.MEASURED.read_text("utf-8"))  # the one that ships
    page = client.get("/tuning/simulation/").content.decode()
    said = page[page.index("This is not your register") : page.index("Does the loop learn?")]
    for words in (
        "Made on 25 November 2026",
        report["release"],
        escape(report["command"]),
        report["data"],
        "1,401 queries",
    ):
        assert words in said, words
    assert "manage.py simulate" in said


@pytest.mark.parametrize("content", [None, "{"])
def test_nothing_measured_yet_says_what_to_do(
    client: Client, administrator: Any, measured: Path, content: str | None
) -> None:
    if content is not None:
        measured.write_text(content, "utf-8")
    client.force_login(administrator)
    assert "benchmarks/loop.py --docs" in client.get("/tuning/simulation/").content.decode()


def test_examiners_are_not_let_in(client: Client, examiner: Any) -> None:
    client.force_login(examiner)
    assert client.get("/tuning/simulation/").status_code == 403


def test_the_overview_leads_there(client: Client, administrator: Any) -> None:
    client.force_login(administrator)
    assert "/tuning/simulation/" in client.get("/tuning/").content.decode()
