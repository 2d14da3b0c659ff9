"""Commands as people call them: exit status and one sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests import pictures

ROOT = Path(__file__).resolve().parents[2]


def manage(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "TM_DATA_DIR": str(data)}
    for name in ("DJANGO_SETTINGS_MODULE", "DATABASE_URL"):
        env.pop(name, None)
    return subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "query.png"],
        ["search", "no-such-file.png"],
        ["ingest", "no-such-folder", "--csv", "x.csv"],
        ["tune", "--dry-run", "--json"],
        ["snapshot"],
    ],
)
def test_on_an_empty_machine_a_command_says_what_is_missing(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "query.png").write_bytes(pictures.encoded(pictures.mark(1)))
    done = manage(tmp_path / "data", *[str(tmp_path / a) if a.endswith(".png") else a for a in arguments])
    assert done.returncode == 1 and not done.stdout
    said = [line for line in done.stderr.splitlines() if line.strip() and "marks/s]" not in line]  # but for the bar
    assert len(said) == 1 and said[0].startswith("CommandError: ") and said[0].endswith(".")


def test_search_prints_the_best_marks_as_json(
    register: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = tmp_path / "q.png"
    query.write_bytes(pictures.encoded(pictures.mark(7)))
    call_command("search", str(query), "--top", "3", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert [row["rank"] for row in answer["results"]] == [1, 2, 3] and answer["results"][0]["mark"] == "T/007"
    assert answer["results"][0]["score"] > 95 and set(answer["results"][0]["similarities"]) >= {"general", "edges"}


def test_ingest_says_what_it_did_and_fails_when_lines_were_refused(
    register: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures.mark(901).save(tmp_path / "a.png")
    (tmp_path / "m.csv").write_text("number,name,image\nA1,a,a.png\nA2,b,missing.png\n")
    with pytest.raises(CommandError, match="1 of 2 lines"):
        call_command("ingest", str(tmp_path), csv=tmp_path / "m.csv")
    shown = capsys.readouterr()
    assert "1 added" in shown.out and "Mark A2" in shown.err
