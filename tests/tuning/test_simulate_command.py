"""`manage.py simulate`: a year on the terminal and as JSON, errors in one sentence."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.benchmarks.test_loop import metu_layout


def simulated(folder: Path, settings: Any, *more: str) -> str:
    settings.TM_DATA_DIR = folder / "data"
    out = StringIO()
    asked = ["--queries", str(folder / "queries"), "--pool", str(folder / "pool")]
    call_command("simulate", *asked, "--weeks", "2", "--searches", "30", *more, stdout=out)
    return out.getvalue()


def test_a_year_on_the_terminal_and_the_same_as_json(tmp_path: Path, settings: Any) -> None:
    metu_layout(tmp_path)
    text = simulated(tmp_path, settings, "--arm", "static")
    assert len(text.splitlines()) >= 4 and "ceiling" in text
    found = json.loads(simulated(tmp_path, settings, "--arm", "static", "--json"))
    assert [week["number"] for week in found["weeks"]] == [1, 2] and found["summary"]["promotions"] == 0


def test_what_is_wrong_is_said_in_a_sentence(tmp_path: Path, settings: Any) -> None:
    with pytest.raises(CommandError, match="does not exist"):
        simulated(tmp_path, settings)
    metu_layout(tmp_path)
    with pytest.raises(CommandError, match="at least one week"):
        simulated(tmp_path, settings, "--weeks", "0")
