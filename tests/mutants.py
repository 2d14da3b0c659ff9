"""How many small faults, put into the core one at a time, do its tests find?

    make mutants [MUTANTS="--keep --jobs=2 tuning.gate*"]

mutmut makes the faults (pyproject.toml says of what and which tests may find them) in a copy of the tree, `mutants/`.
This prints a score per module and what survived, and fails under 85 %. Fixed: the faults, the tests, hypothesis's
examples (its `ci` profile) and one thread. --keep goes on where the last call was instead of starting anew, and looks
again at what was alive.

A fault that changes nothing that anybody could see (an equivalent mutant) is named in EQUIVALENT with the reason and
left out of the score; one that is named there and does not survive is an error.
"""

import ast
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MUTANTS = ROOT / "mutants"
LEAST = 0.85
KILLED = {1, 3, 24, 36, 152, 255, -24}  # mutmut's exit codes of a failing test and of a test that ran too long

LENGTHS = "Both sides always have one length, so strict never acts."
SAME_NUMBERS = "The values are made float32 afterwards, and nothing differs on the way."
DEFAULT = "That is the default of the function called."
# Module -> the changed line as it reads -> why nobody can see it.
EQUIVALENT: dict[str, dict[str, str]] = {}


@dataclass(frozen=True)
class Mutant:
    """One fault: the function, the lines it changes, and the exit code of its tests (None: not run)."""

    name: str
    changed: tuple[str, ...]
    code: int | None

    @property
    def killed(self) -> bool:
        return self.code in KILLED

    @property
    def line(self) -> str:
        """The changed line as it reads with the fault in it; what was taken out where there is none."""
        added = [line[1:].strip() for line in self.changed if line.startswith("+")]
        return " ".join(added) or " ".join(line.strip() for line in self.changed)


def mutants_of(module: str) -> Iterator[Mutant]:
    path = MUTANTS / (module.replace(".", "/") + ".py")
    codes = json.loads(Path(f"{path}.meta").read_text("utf-8"))["exit_code_by_key"]
    source = path.read_text("utf-8")
    lines = source.splitlines()
    bodies = {
        node.name: lines[node.lineno : node.end_lineno]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
    }
    for key, code in codes.items():
        name = key.rpartition(".")[2]
        before, after = bodies[re.sub(r"_\d+$", "_orig", name)], bodies[name]
        found = difflib.unified_diff(before, after, n=0, lineterm="")
        yield Mutant(key, tuple(line for line in found if not line.startswith(("---", "+++", "@@"))), code)


def report(module: str) -> bool:
    """Print the score and the survivors of a module; whether it is high enough and nothing is named in vain."""
    found = list(mutants_of(module))
    named = EQUIVALENT.get(module, {})
    alive = [mutant for mutant in found if not mutant.killed]
    equivalent = [mutant for mutant in alive if mutant.line in named]
    counted = len(found) - len(equivalent)
    score = 1 - (len(alive) - len(equivalent)) / counted
    print(f"{module}: {score:.1%} of {counted} killed; {len(equivalent)} equivalent", flush=True)
    for mutant in alive:
        if mutant not in equivalent:
            print(f"  {'not run' if mutant.code is None else 'alive'} {mutant.name.rpartition('.')[2]}: {mutant.line}")
    for mutant in equivalent:
        print(f"  equivalent {mutant.name.rpartition('.')[2]}: {mutant.line} ({named[mutant.line]})")
    vain = set(named) - {mutant.line for mutant in equivalent}
    for line in vain:
        print(f"  named as equivalent, but not alive: {line}")
    return score >= LEAST and not vain


def main(arguments: list[str]) -> int:
    patterns = [argument for argument in arguments if not argument.startswith("--")]
    jobs = next((argument[len("--jobs=") :] for argument in arguments if argument.startswith("--jobs=")), "1")
    if "--keep" not in arguments:
        shutil.rmtree(MUTANTS, ignore_errors=True)
    for path in MUTANTS.rglob("*.meta"):
        told = json.loads(path.read_text("utf-8"))
        codes = told["exit_code_by_key"]
        told["exit_code_by_key"] = {key: code if code in KILLED else None for key, code in codes.items()}
        path.write_text(json.dumps(told), "utf-8")
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [Path(sys.executable).parent / "mutmut", "run", "--max-children", jobs, *patterns],
        cwd=ROOT, env=env, check=False,
    )  # fmt: skip
    if done.returncode:
        return done.returncode
    modules = [str(path.relative_to(MUTANTS))[: -len(".py.meta")].replace("/", ".") for path in MUTANTS.rglob("*.meta")]
    wanted = [m for m in sorted(modules) if not patterns or any(p.startswith(m) for p in patterns)]
    low = [module for module in wanted if not report(module)]
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
