"""The power goes at any instant: what was acknowledged is there, and what is there is whole."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live.power_cut import Disk, strace_works, watched
from tests.live.service import ROOT

pytestmark = pytest.mark.kill

CACHES = re.compile(r"-shm$|^/(run|log)(/|$)|\.lock$|\.description$|\.tmp$|/\.building-")
"""Made again by a start or by whoever misses them; names of what is not whole yet, or not any more."""
RANDOM_CUTS = 40


def office(does: str, given: Path) -> list[str]:
    """A command line: a function of the office, in the service's own settings."""
    program = "import django; django.setup(); from pathlib import Path; from tests.live.power_cut_office import"
    return [sys.executable, "-c", f"{program} {does}; {does}(Path({str(given)!r}))"]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What an office did from its first start on, and every call by which it came to the disk."""
    if reason := strace_works():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("power")
    for name in ("data", "incoming"):
        (folder / name).mkdir()
    env = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "tmportal.settings", "TM_DATA_DIR": str(folder / "data"),
        "TM_LOG_LEVEL": "ERROR", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    env.pop("DATABASE_URL", None)
    done = watched(office("work", folder / "incoming"), folder / "calls", cwd=ROOT, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    disk = Disk(folder / "data", folder / "calls")
    said = [(at, json.loads(line.removeprefix("ACK "))) for at, line in disk.said if line.startswith("ACK ")]
    assert len(said) == 20
    return disk, said, folder, env


def test_the_model_ends_with_the_very_files_that_the_process_has_left(day: Any) -> None:
    """Otherwise the other tests would be about another program."""
    disk, _, folder, _ = day
    disk.leave(folder / "all", disk.now, None, everything=True)

    def files(root: Path) -> dict[str, bytes]:
        found = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in found.items() if not name.endswith("-shm")}

    there, modelled = files(folder / "data"), files(folder / "all")
    assert there.keys() == modelled.keys()
    assert [name for name in there if there[name] != modelled[name]] == []


def test_when_something_is_acknowledged_nothing_of_it_is_still_on_its_way_to_the_disk(day: Any) -> None:
    disk, said, _, _ = day
    late = {
        f"{acknowledged['what']}: {change}"
        for at, acknowledged in said
        for change in disk.unsynced(at)
        if not CACHES.search(change.split(" ", 1)[1])
    }
    assert late == set()


def test_whenever_the_power_goes_everything_acknowledged_is_there_and_whole(day: Any) -> None:
    disk, said, folder, env = day
    chance = random.Random(14)
    first, last = said[0][0], disk.now
    cuts = [(at, None) for at, _ in said] + [(at, chance) for at, _ in said]
    cuts += [(chance.randint(first, last), chance) for _ in range(RANDOM_CUTS)]
    states = []
    for number, (at, luck) in enumerate(cuts):
        place = folder / f"cut-{number}-{at}"
        disk.leave(place, at, luck)
        states.append((str(place), [acknowledged for when, acknowledged in said if when <= at]))
    (folder / "states.json").write_text(json.dumps(states))
    looked = subprocess.run(
        office("look", folder / "states.json"), cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert looked.returncode == 0, looked.stderr[-3000:]
    assert looked.stdout == ""
