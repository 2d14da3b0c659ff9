"""What the project is made of and what it loads: no pickles, licences that fit, hashes that match the pins."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("tmportal", "search", "feedback", "tuning", "benchmarks", "tests")
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
