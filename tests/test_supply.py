"""What the project is made of and what it loads: no pickles, licences that fit, hashes that match the pins."""

import ast
import hashlib
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools import supply

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("tmportal", "search", "feedback", "tuning", "benchmarks", "tests", "tools")
RUN_WHAT_THEY_READ = {
    "pickle",
    "_pickle",
    "cPickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "jsonpickle",
}


def pickles_in(code: str) -> Iterator[str]:
    """Each use of a format that runs code when it is read."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in RUN_WHAT_THEY_READ)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in RUN_WHAT_THEY_READ:
            # The name of the error with which torch refuses a pickle is all that may come from there.
            yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name != "UnpicklingError")
        elif isinstance(node, ast.Call):
            given = {word.arg: word.value for word in node.keywords}
            name = ast.unparse(node.func)
            if "allow_pickle" in given and ast.unparse(given["allow_pickle"]) != "False":
                yield f"{name}(allow_pickle=...)"
            if name == "torch.load" and ast.unparse(given.get("weights_only", ast.Constant(None))) != "True":
                yield f"{name} without weights_only=True"
            if name.rpartition(".")[2] == "read_pickle":
                yield name


def test_nothing_in_the_project_reads_or_writes_a_pickle() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {what}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for what in pickles_in(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    ["import pickle", "from pickle import loads", "import joblib", "np.load(x, allow_pickle=True)", "torch.load(x)",
     "torch.load(x, weights_only=False)", "pd.read_pickle(x)"],
)  # fmt: skip
def test_the_search_for_pickles_finds_them(code: str) -> None:
    assert list(pickles_in(code))


@pytest.mark.parametrize(
    "file", ["requirements.txt", "requirements-dev.txt", "requirements-gpu.txt", "requirements-models.txt"]
)
def test_the_lock_has_every_pinned_version_with_hashes(file: str) -> None:
    pinned = supply.known_hashes(ROOT / file)
    known = supply.known_hashes(supply.LOCK)
    assert pinned and all(known.get(one) for one in pinned), "run `make lock`"
    lines = (ROOT / file).read_text().splitlines()
    assert len(pinned) == sum(bool(line) and not line.startswith(("#", "-r")) for line in lines)  # each is pinned


def test_the_lock_names_no_host_and_every_package_has_hashes() -> None:
    text = supply.LOCK.read_text()
    assert "://" not in text and all(supply.known_hashes(supply.LOCK).values())
    assert not re.search(r"--hash=(?!sha256:[0-9a-f]{64}\b)", text)


def test_the_constraints_for_pip_are_the_lock_without_its_hashes() -> None:
    lines = [line for line in supply.pins().splitlines() if line]
    assert "django==" in supply.pins() and not any("hash" in line or line.endswith("\\") for line in lines)
    assert {plain.split("==")[0] for plain in lines} == {name for name, _ in supply.known_hashes(supply.LOCK)}


def wheel(folder: Path, name: str, version: str, content: str = "") -> str:
    """A wheel of one module; returns its SHA-256."""
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_pip_installs_only_archives_whose_hashes_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip itself, with wheels made here: one exchanged after the hash was written is refused, and so is a stranger."""
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(tmp_path), "TARGET": str(tmp_path / "there")}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    wanted, lock = tmp_path / "wanted.txt", tmp_path / "lock"
    wanted.write_text("tm_probe==1.0\n")
    lock.write_text(f"tm-probe==1.0 \\\n    --hash=sha256:{wheel(tmp_path, 'tm_probe', '1.0')}\n")
    monkeypatch.setattr(supply, "LOCK", lock)
    supply.install(wanted)
    assert (tmp_path / "there" / "tm_probe.py").exists()
    (tmp_path / "there" / "tm_probe.py").unlink()
    wheel(tmp_path, "tm_probe", "1.0", "raise SystemExit")
    with pytest.raises(supply.Refused, match="none of those in"):
        supply.install(wanted)
    wheel(tmp_path, "tm_stranger", "1.0")
    wanted.write_text("tm_stranger\n")
    with pytest.raises(supply.Refused, match=r"tm.stranger 1\.0 is not in"):
        supply.install(wanted)
    assert not list((tmp_path / "there").glob("*.py"))


def test_the_bill_of_materials_has_all_that_runs_and_a_licence_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "sbom.cdx.json"
    assert supply.sbom(out, validate=False) == []
    bill: dict[str, Any] = json.loads(out.read_text())
    assert bill["bomFormat"] == "CycloneDX" and bill["metadata"]["component"]["name"] == "tmportal"
    parts = {supply.plain(part["name"]): part for part in bill["components"]}
    asked = {name for name, _ in supply.known_hashes(ROOT / "requirements.txt", ROOT / "requirements-models.txt")}
    assert asked <= set(parts) and "sqlparse" in parts and not {"pytest", "mypy", "uv"} & set(parts)
    assert all(part["version"] and part["licenses"] for part in parts.values())
    assert (ROOT / "LICENSE").read_text().strip().startswith("Apache License")
    monkeypatch.setattr(supply, "READ_BY_HAND", {})
    monkeypatch.setattr(supply, "_run", lambda command: out.write_text(json.dumps(without(bill, "django"))))
    problems = supply.sbom(out)
    assert len(problems) == 1 and problems[0].startswith("Django 5")


def without(bill: dict[str, Any], name: str) -> dict[str, Any]:
    for part in bill["components"]:
        if supply.plain(part["name"]) == name:
            del part["licenses"]
    return bill
