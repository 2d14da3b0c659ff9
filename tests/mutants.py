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

LENGTHS = "What is paired always has one length here, so strict never acts."
SAME = "The numbers are the same: they are converted where they are used."
DEFAULT = "It is the default of what is called."
ROUNDING = "It only guards against rounding, which no input shows."
# Module -> the line as the fault leaves it -> why nobody can see a difference. Faults of strict=True are told by rule.
EQUIVALENT: dict[str, dict[str, str]] = {}
_STRICT = re.compile(r",?\s*\bstrict=\w+,?\s*")


@dataclass(frozen=True)
class Mutant:
    """One fault: the function, the lines it changes, and the exit code of its tests (None: not run)."""

    name: str
    changed: tuple[str, ...]
    code: int | None

    @property
    def killed(self) -> bool:
        return self.code in KILLED

    def equivalent(self, module: str) -> str:
        """Why nobody can see it; empty for a fault that counts."""
        before, after = (
            "".join(_STRICT.sub("", line[1:]) for line in self.changed if line.startswith(sign)) for sign in "-+"
        )
        if re.sub(r"[\s,]", "", before) == re.sub(r"[\s,]", "", after):
            return LENGTHS
        return EQUIVALENT.get(module, {}).get(self.line, "")

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
    alive = [mutant for mutant in found if not mutant.killed]
    equivalent = {mutant.name: reason for mutant in alive if (reason := mutant.equivalent(module))}
    counted = len(found) - len(equivalent)
    score = 1 - (len(alive) - len(equivalent)) / counted
    print(f"{module}: {score:.1%} of {counted} killed; {len(equivalent)} equivalent", flush=True)
    for mutant in sorted(alive, key=lambda mutant: mutant.name in equivalent):
        how = f"equivalent, {equivalent[mutant.name]}" if mutant.name in equivalent else "alive"
        print(f"  {mutant.name.rpartition('.')[2]}: {mutant.line} ({'not run' if mutant.code is None else how})")
    vain = set(EQUIVALENT.get(module, {})) - {mutant.line for mutant in alive}
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
