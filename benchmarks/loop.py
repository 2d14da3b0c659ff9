#!/usr/bin/env python
"""Does the loop learn, and can it be led astray? Simulated examiners over real families, all arms side by side. JSON.

    python benchmarks/loop.py --seeds 20 [--quick] [--queries DIR --pool DIR [--limit-pool N]] --json [FILE]

Without --queries the `val` families among 20,000 marks are used, built first where they are missing (needs npm). FILE
is only written at the end; years that are done are kept under --cache, and a run that was stopped goes on. With
--docs the page, its plots and the figures that the portal shows are written too. Two processes; --quick is 3 seeds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # one thread for each process

from benchmarks.leaderboard.measure import limited  # noqa: E402
from benchmarks.loop_page import draw_curves, to_markdown  # noqa: E402
from search.retrieval.encoders import WeightsUnusable  # noqa: E402
from tuning.evaluation import LayoutError, load  # noqa: E402
from tuning.simulate import Year  # noqa: E402
from tuning.simulation.campaign import Task, campaign, ceiling_of, curves, run_task, summarise  # noqa: E402
from tuning.simulation.load import world_of  # noqa: E402
from tuning.simulation.referee import Ceiling  # noqa: E402
from tuning.simulation.world import World, load_world  # noqa: E402
from tuning.simulation.years import kept_year, year_key  # noqa: E402

BUILT = ROOT / "build" / "loop"
_world: World | None = None


def open_world(path: Path) -> None:
    """What each process of a pool begins with."""
    global _world  # noqa: PLW0603 - one world for each process, loaded once
    _world = load_world(path)


def opened_world() -> World:
    """The world of this process."""
    assert _world is not None
    return _world


def _ceiling(seed: int) -> Ceiling:
    return ceiling_of(opened_world(), seed)


def _year(job: tuple[Task, Ceiling]) -> tuple[Task, Year]:
    return job[0], run_task(opened_world(), *job)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All years, from the cache or simulated, and what they come to."""
    from tqdm import tqdm

    started = time.perf_counter()
    with tqdm(desc="world", unit="mark", file=sys.stderr) as bar:

        def done(count: int, total: int) -> None:
            bar.total = total
            bar.update(count - bar.n)

        layout = limited(load(options.queries, options.pool), pool=options.limit_pool)
        world, path = world_of(layout, options.cache, done=done)
    described = time.perf_counter()
    tasks = campaign(
        range(options.seeds),
        side_seeds=options.side_seeds,
        side_weeks=options.side_weeks,
        weeks=options.weeks,
        searches=options.searches,
    )
    store = options.cache / "years" / year_key(world)
    kept = {task: year for task in tasks if (year := kept_year(store, task)) is not None}
    todo = [task for task in tasks if task not in kept]
    with multiprocessing.get_context("spawn").Pool(options.jobs, open_world, (path,)) as pool:
        ceilings = {task.scenario.seed: year.ceiling for task, year in kept.items()}
        seeds = sorted({task.scenario.seed for task in todo} - ceilings.keys())
        with tqdm(total=len(seeds) + len(todo), desc="ceilings and years", file=sys.stderr) as bar:
            sought = {seed: pool.apply_async(_ceiling, (seed,), callback=lambda _: bar.update()) for seed in seeds}
            # A seed's years begin when its ceiling is found: no process waits for those of other seeds. The long
            # years first, so that none waits at the end.
            todo.sort(key=lambda task: (task.scenario.seed, not task.arm.startswith("ours"), -task.scenario.length))
            jobs = ((t, ceilings.get(t.scenario.seed) or sought[t.scenario.seed].get()) for t in todo)
            for task, year in pool.imap_unordered(_year, jobs):
                kept[task] = year
                kept_year(store, task, year)
                bar.update()
    years = [(task, kept[task]) for task in tasks]
    return {
        "arms": summarise(years),
        "curves": curves(years),
        "world": {
            "queries": len(world.queries),
            "groups": len({q.group for q in world.queries}),
            "marks": world.marks,
            "clusters": world.clusters,
            "descriptors": list(world.names),
            "version": world.version,
        },
        "command": f"python benchmarks/loop.py {options.command}".strip(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "release": release(),
        "data": f"{_named(options.queries)} among {_named(options.pool)}",
        "seeds": options.seeds,
        "side_seeds": min(options.seeds, options.side_seeds),
        "weeks": options.weeks,
        "side_weeks": options.side_weeks,
        "searches": options.searches,
        "seconds": {
            "world": round(described - started, 1),
            "simulation": round(time.perf_counter() - described, 1),
            "years_simulated": len(todo),
        },
    }


def release() -> str:
    """Version and commit of the code that runs."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return str(version)  # a copy without its history
    return f"{version}, commit {commit}"


def _named(folder: Path) -> str:
    """Within the project by its path, elsewhere by its name: where it lay is nobody's business."""
    return str(folder.relative_to(ROOT)) if folder.is_relative_to(ROOT) else folder.name


def add_world_options(parser: argparse.ArgumentParser) -> None:
    """Which marks the world is made of, and where it is kept."""
    parser.add_argument("--queries", type=Path, metavar="DIR", help="any directory in METU layout")
    parser.add_argument("--pool", type=Path, metavar="DIR")
    parser.add_argument(
        "--limit-pool", type=int, metavar="N", help="only N marks of the pool, by a hash of their names"
    )
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "loop-cache")


def check_world_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Ends the program with a sentence when they do not fit together."""
    if (options.queries is None) != (options.pool is None):
        parser.error("--queries and --pool belong together")


def build_default(options: argparse.Namespace) -> None:
    """The `val` families among 20,000 marks, where no directory is given."""
    if options.queries is not None:
        return
    options.queries, options.pool = BUILT / "queries", BUILT / "pool"
    manifest = BUILT / "manifest.json"
    if manifest.is_file() and json.loads(manifest.read_text("utf-8")).get("complete"):
        return
    script = [sys.executable, str(ROOT / "benchmarks" / "build_families.py")]
    subprocess.run([*script, "--split", "val", "--distractors", "20000", "--out", str(BUILT)], check=True)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--side-seeds", type=int, default=8, help="for other profiles and for guards left out")
    parser.add_argument(
        "--quick", action="store_true", help="3 seeds, and 1 over 4 weeks for other profiles and guards"
    )
    parser.add_argument("--weeks", type=int, default=12)
    parser.add_argument("--searches", type=int, default=200, help="a week")
    add_world_options(parser)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="to FILE, or to stdout")
    parser.add_argument("--docs", action="store_true", help="write docs/loop.md, its plots and the portal's figures")
    options = parser.parse_args(argv)
    options.command = _shown(sys.argv[1:] if argv is None else argv)
    if options.quick:
        options.seeds, options.side_seeds = 3, 1
    options.side_weeks = min(options.weeks, 4) if options.quick else options.weeks
    check_world_options(parser, options)
    if min(options.seeds, options.side_seeds, options.weeks, options.searches, options.jobs) < 1:
        parser.error("--seeds, --side-seeds, --weeks, --searches and --jobs are at least 1")
    return options


def _shown(argv: Sequence[str]) -> str:
    """The options that make the figures: without --json, and where it was to go."""
    words = list(argv)
    if "--json" in words:
        at = words.index("--json")
        del words[at : at + (2 if len(words) > at + 1 and not words[at + 1].startswith("-") else 1)]
    return " ".join(word for word in words if not word.startswith("--json="))


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate; the table on stdout, or the JSON. Exit status 1 with a sentence when nothing could be simulated."""
    options = arguments(argv)
    try:
        build_default(options)
        report = run(options)
    except (LayoutError, WeightsUnusable, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'A file'}: {error.strerror}.", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError:
        print("The families could not be built; give --queries and --pool.", file=sys.stderr)
        return 1
    text = json.dumps(report, indent=1)
    if options.docs:
        write_pages(report)
    if options.json and options.json != "-":
        Path(options.json).write_text(text + "\n", "utf-8")
    print(text if options.json == "-" else to_markdown(report))
    return 0


def write_pages(report: dict[str, Any]) -> None:
    """The page, the plots (also on the portal's page of the simulation) and the figures behind them."""
    static = ROOT / "tmportal" / "static" / "loop"
    static.mkdir(parents=True, exist_ok=True)
    for name, picture in draw_curves(report["curves"]).items():
        (static / f"{name}.svg").write_text(picture, "utf-8")
    (ROOT / "docs" / "loop.md").write_text(to_markdown(report), "utf-8")
    (ROOT / "tuning" / "simulation" / "measured.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
