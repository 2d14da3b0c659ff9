#!/usr/bin/env python
"""`make bench`: the figures that docs/figures.md states, measured on this machine, as JSON.

    .venv/bin/python benchmarks/service.py [--only start search refine tuning ingest evaluate] [--searches 100]

Starts the whole service on a data directory of its own; takes some minutes. Figures of a busy machine are
not worth writing down: compare only figures of one run.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.live.service import Service  # noqa: E402

DEMO = ROOT / "search" / "demo"


def percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered), 1),
        "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 1),
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure_start(service: Service) -> dict[str, float]:
    """Seconds from `manage.py run` on an empty directory to a working search, and again on a full one."""
    first = service.start(1800)
    service.stop()
    second = service.start(120)
    return {"first_start_s": round(first, 1), "second_start_s": round(second, 1)}


def measure_search(service: Service, count: int) -> dict[str, Any]:
    """Upload to results (first page fetched) through web server, broker and worker, one user, ms."""
    token = service.token()
    images = sorted((DEMO / "queries").iterdir())
    step = max(1, len(images) // count)
    images = (images[::step] * (count // max(1, len(images[::step])) + 1))[:count]
    for image in images[:3]:
        service.search(token, image.read_bytes())
    total: list[float] = []
    stages: dict[str, list[float]] = {}
    for image in images:
        data = image.read_bytes()
        began = time.perf_counter()
        _, made = service.call("POST", "/api/searches/", token=token, image=data)
        while True:
            state = service.call("GET", f"/api/searches/{made['id']}/", token=token)[1]
            if state["status"] in ("done", "failed"):
                break
            time.sleep(0.01)
        assert state["status"] == "done", state
        service.call("GET", f"/api/searches/{made['id']}/results/", token=token)
        total.append((time.perf_counter() - began) * 1000)
        for stage, ms in state["timings"].items():
            stages.setdefault(stage, []).append(ms)
    worker = max(service.processes("search-worker"), key=lambda process: process.memory_info().rss)
    return {
        "searches": count,
        "upload_to_results_ms": percentiles(total),
        "stages_ms": {stage: percentiles(values) for stage, values in stages.items()},
        "search_worker_rss_mb": round(worker.memory_info().rss / 2**20),
    }


def measure_refine(service: Service, count: int = 30) -> dict[str, Any]:
    """One page of a refined list through web server, broker and worker, one user, ms: of as many searches 1 to 3 marks
    of the first page are liked and 1 to 3 disliked."""
    token = service.token()
    images = sorted((DEMO / "queries").iterdir())
    took: list[float] = []
    for place in range(count + 3):
        search = service.search(token, images[place * len(images) // (count + 3)].read_bytes())
        page = service.call("GET", f"/api/searches/{search['id']}/results/", token=token)[1]
        marks = [row["mark"] for row in page["results"]]
        told = {"like": marks[1 : 2 + place % 3], "unlike": marks[8 : 9 + (place + 1) % 3]}
        began = time.perf_counter()
        status, answer = service.call("POST", f"/api/searches/{search['id']}/refine/", token=token, body=told)
        took.append((time.perf_counter() - began) * 1000)
        assert status == 200 and len(answer["results"]) == len(marks), answer
    return {"refines": count, "refined_page_ms": percentiles(took[3:])}


def manage(*arguments: str, data: Path) -> tuple[float, str]:
    """Seconds and standard output of a management command on a data directory."""
    import os

    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env={**os.environ, "TM_DATA_DIR": str(data)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"manage.py {' '.join(arguments)} failed: {done.stderr[-2000:]}")
    return time.monotonic() - began, done.stdout


def measure_ingest(work: Path, marks: int = 400) -> dict[str, float]:
    """Marks a second with all views, decoding, storing and the snapshot included, on an empty register."""
    data = work / "ingest"
    manage("bootstrap", data=_without_demo(data))
    lines = (DEMO / "register.csv").read_text("utf-8").splitlines()
    file = work / "ingest.csv"
    file.write_text("\n".join(lines[: marks + 1]), "utf-8")
    seconds, _ = manage("ingest", str(DEMO), "--csv", str(file), data=data)
    return {
        "ingest_marks": marks,
        "ingest_s": round(seconds, 1),
        "ingest_marks_per_s": round(marks / seconds, 1),
    }


def _without_demo(data: Path) -> Path:
    import os

    os.environ["TM_DEMO"] = "0"
    data.mkdir(parents=True, exist_ok=True)
    return data


def measure_evaluate(work: Path, queries: int = 400, marks: int = 4000) -> dict[str, float]:
    """`evaluate` of 400 queries against 4,000 marks, description included, no cache. Images are the demo
    marks, and turned copies of them where there are not enough."""
    from PIL import Image

    folders = {"queries": work / "evaluate" / "queries", "pool": work / "evaluate" / "pool"}
    wanted = {"queries": queries, "pool": marks - queries}
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        sources = sorted((DEMO / name).iterdir())
        for number in range(wanted[name]):
            source = sources[number % len(sources)]
            image = Image.open(source).convert("RGB").rotate(90 * (number // len(sources)))
            target = source.stem if number < len(sources) else f"{number}"
            if name == "queries" and number >= len(sources):
                instance, group = source.stem.split("-")
                target = f"{int(instance) + 100 * (number // len(sources))}-{group}"
            image.save(folder / f"{target}.png")
    arguments = [
        "evaluate",
        "--queries",
        str(folders["queries"]),
        "--pool",
        str(folders["pool"]),
        "--no-cache",
        "--json",
    ]
    seconds, out = manage(*arguments, data=_without_demo(work / "evaluate-data"))
    answer = json.loads(out)
    return {
        "evaluate_queries": answer["queries"],
        "evaluate_marks": answer["marks"],
        "evaluate_s": round(seconds, 1),
    }


def measure_tuning(work: Path) -> dict[str, float]:
    """Weight candidates a second on the demo's held-out queries, alone and with Optuna choosing."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "tuning_speed.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=["start", "search", "refine", "tuning", "ingest", "evaluate"])
    parser.add_argument("--searches", type=int, default=100)
    options = parser.parse_args()
    wanted = set(options.only or ["start", "search", "refine", "tuning", "ingest", "evaluate"])
    work = Path(tempfile.mkdtemp(prefix="tm-bench-"))
    figures: dict[str, Any] = {}
    try:
        alone: dict[str, Callable[[Path], dict[str, Any]]] = {
            "ingest": measure_ingest, "evaluate": measure_evaluate, "tuning": measure_tuning,
        }  # fmt: skip
        for name, measure in alone.items():
            if name in wanted:
                say(f"{name} ...")
                figures |= measure(work)
        if wanted & {"start", "search", "refine"}:
            import os

            os.environ.pop("TM_DEMO", None)
            service = Service(work / "service")
            try:
                say("start ...")
                figures |= measure_start(service)
                if "search" in wanted:
                    say("search ...")
                    figures |= measure_search(service, options.searches)
                if "refine" in wanted:
                    say("refine ...")
                    figures |= measure_refine(service)
            finally:
                service.stop()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
