"""`make torture`: the whole service under load while everything goes wrong, in random order; nothing may be lost.

    .venv/bin/python -m tests.torture [--seed N] [--runs 1] [--minutes 4] [--examiners 6] [--only FAULT ...]

Each run starts the service on an empty data directory, lets examiners and an administrator work, makes one fault after
another, and compares at the end what was acknowledged with what is there. The seed is printed: the same seed makes the
same faults in the same order. Exit status 1 when anything was lost, doubled, left hanging, or answered 500.

As root on Linux the data directory gets a file system of its own, so that the disk can be full and read-only; with a C
compiler the clock of its processes jumps. Where either is missing those faults are left out, and it says so.
"""

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from PIL import Image

from tests.live.clock import Clock
from tests.live.service import ROOT, Service
from tests.torture import faults
from tests.torture.ledger import Ledger
from tests.torture.people import Administrator, Examiner
from tests.torture.verdict import judge

DISK_MB = 1500
QUERIES = sorted((ROOT / "search" / "demo" / "queries").iterdir())
_ACCOUNTS = """
import json, sys
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
for name, word in json.loads(sys.stdin.readline()).items():
    user = get_user_model().objects.create_user(name, password=word)
    user.groups.add(Group.objects.get(name="examiner"))
"""


def say(text: str) -> None:
    print(text, flush=True)


@contextlib.contextmanager
def disk(work: Path) -> Iterator[tuple[Path, bool]]:
    """A folder for the data directory, and whether it is a file system of its own."""
    folder = work / "disk"
    folder.mkdir()
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
        == 0
    )
    try:
        yield folder, mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def hostile_images() -> list[bytes]:
    """Small files that unpack to much, and files that break off."""
    found = []
    for mode, kind, options in (
        ("RGBA", "PNG", {}), ("P", "GIF", {}), ("I;16", "PNG", {}), ("RGBA", "WEBP", {"lossless": True, "method": 0}),
        ("1", "TIFF", {"compression": "group4"}), ("LA", "PNG", {}), ("CMYK", "JPEG", {"quality": 5}),
    ):  # fmt: skip
        out = io.BytesIO()
        Image.new(mode, (6200, 6200)).save(out, kind, **options)
        found.append(out.getvalue())
    good = QUERIES[0].read_bytes()
    found += [
        good[: len(good) // 2],
        good[:40],
        b"",
        os.urandom(5000),
        b"<svg/>" * 100,
        b"RIFF\x1a\0\0\0WEBPVP8L" + b"\x2f\xff\xff\xff\x1f" * 4,
    ]
    return found


def manage(service: Service, *arguments: str, told: str = "") -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=service.env,
        input=told,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"manage.py {arguments[0]} failed: {done.stderr[-2000:]}")


def once(seed: int, options: argparse.Namespace) -> list[str]:
    """One run from an empty directory; the defects as sentences."""
    chance = random.Random(seed)
    work = Path(tempfile.mkdtemp(prefix="tm-torture-"))
    ledger = Ledger()
    with disk(work) as (folder, own_disk):
        clock = Clock(work) if shutil.which("cc") else None
        env = {"TM_DEMO_LIMIT": str(options.marks)} | (clock.env if clock else {})
        for missing, what in ((not own_disk, "disk faults: no mount"), (clock is None, "clock faults: no C compiler")):
            if missing:
                say(f"left out, {what}")
        service = Service(folder / "data", **env)
        try:
            say(f"seed {seed}: ready after {service.start(900):.0f} s")
            found = _under_load(service, ledger, chance, options, own_disk, clock)
        finally:
            faults.stop_all(service)
            service.stop(60)
            shutil.copytree(service.data_dir / "log", work / "log", dirs_exist_ok=True)
        if not found and not options.keep:
            shutil.rmtree(work / "log")
    say(f"seed {seed}: {len(ledger.searches)} searches, {len(ledger.selections)} marks selected, "
        f"{ledger.reports.total()} reports, {sum(ledger.promotions.values())} promotions acknowledged; "
        f"answers {dict(sorted(ledger.answers.items()))}")  # fmt: skip
    if not (ledger.searches and ledger.reports.total() and any(ledger.promotions.values())):
        say(f"seed {seed}: some of the work was never acknowledged, so this run says nothing about that")
    if found:
        say(f"the logs are kept in {work / 'log'}")
    else:
        shutil.rmtree(work, ignore_errors=True)
    return found


def _under_load(
    service: Service,
    ledger: Ledger,
    chance: random.Random,
    options: argparse.Namespace,
    own_disk: bool,
    clock: Clock | None,
) -> list[str]:
    words = {f"examiner-{n}": f"a-long-password-{chance.randrange(10**9)}" for n in range(options.examiners)}
    manage(service, "shell", "-c", _ACCOUNTS, told=json.dumps(words) + "\n")
    manage(service, "weigh", "colour=0.05", "--reason", "a second set to go back and forth to")
    manage(service, "snapshot")  # a second snapshot to fall back on
    end = time.monotonic() + 60 * options.minutes

    def going() -> bool:
        return time.monotonic() < end

    people = [
        Examiner(name, service, ledger, seed=chance.randrange(10**9), going=going, password=word, images=QUERIES)
        for name, word in words.items()
    ]
    admin = Administrator("administrator", service, ledger, seed=chance.randrange(10**9), going=going,
                          login=service.logins()["administrator"], sets=(1, 2))  # fmt: skip
    place = faults.Place(
        service, ledger, chance, token=service.token(), hostile=hostile_images(), image=QUERIES[0].read_bytes(),
        clock=clock, own_disk=own_disk,
    )  # fmt: skip
    for person in (*people, admin):
        person.start()
    known = faults.possible(place)
    if options.only:
        known = tuple(fault for fault in known if fault.__name__ in options.only)
    began = time.monotonic()
    while going():
        time.sleep(chance.uniform(1, 5))
        fault = chance.choice(known)
        at = time.monotonic() - began
        say(f"{at:6.1f} s {fault.__name__}: {_made(fault, place)}")
    for person in (*people, admin):
        person.join(240)
        if person.is_alive():
            ledger.fail(f"{person.name} still waits for an answer after 240 s")
    return judge(service, ledger)


def _made(fault: Callable[[faults.Place], str], place: faults.Place) -> str:
    """What the fault did. One that cannot be made, because the service is not there, is a defect of the service."""
    try:
        return fault(place)
    except (AssertionError, psutil.Error, OSError, subprocess.SubprocessError) as error:
        place.ledger.fail(f"{fault.__name__} could not be made: {type(error).__name__}: {str(error)[-500:]}")
        if place.service.process is None or place.service.process.poll() is not None:
            place.service.start(120)
        return "not made"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--runs", type=int, default=1, help="each with the next seed")
    parser.add_argument("--minutes", type=float, default=4, help="of faults, each run")
    parser.add_argument("--examiners", type=int, default=6)
    parser.add_argument("--marks", type=int, default=200, help="of the demonstration register")
    parser.add_argument("--only", nargs="+", help="these faults, by their names")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a run without defects too")
    options = parser.parse_args()
    bad = 0
    for seed in range(options.seed, options.seed + options.runs):
        found = once(seed, options)
        bad += bool(found)
        for sentence in found[:40]:
            say(f"  DEFECT {sentence}")
        say(f"seed {seed}: {'nothing lost, nothing hung' if not found else f'{len(found)} defects'}")
    say(f"{options.runs - bad} of {options.runs} runs without a defect")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
