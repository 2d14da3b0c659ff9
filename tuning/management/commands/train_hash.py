"""`manage.py train_hash`: a hash head by a named recipe, on features that are computed once; stopped, it goes on where
it was."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from tqdm import tqdm

from search.commands import SentenceCommand
from search.training.dataset import KINDS
from search.training.hashing.recipes import RECIPES, SIZES

ITQ = tuple(f"itq-{bits}" for bits in SIZES)


class Command(SentenceCommand):
    help = "Train a hash head (benchmarks/build_training.py makes the data), or fit ITQ."
    requires_system_checks: tuple[str, ...] = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--config", choices=[*ITQ, *RECIPES], required=True, metavar="NAME", help=", ".join([*ITQ, *RECIPES])
        )
        parser.add_argument("--data", type=Path, default=Path("build/training"), help="training marks")
        parser.add_argument(
            "--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="only these kinds of families"
        )
        parser.add_argument("--features", type=Path, help="computed once (default: build/hash/train)")
        parser.add_argument("--out", type=Path, help="checkpoints and log (default: build/hash/NAME)")
        parser.add_argument("--write", action="store_true", help="store the head beside the shipped encoder")
        parser.add_argument("--device", choices=("cpu", "cuda"), help="default: CUDA where there is one")
        parser.add_argument("--threads", type=int, default=1)

    def handle(self, *args: Any, **options: Any) -> None:
        import torch

        from search.retrieval.device import device_name
        from search.retrieval.encoders import WeightsUnusable
        from search.training.dataset import DatasetError

        torch.set_num_threads(options["threads"])
        device = options["device"] or device_name()
        try:
            self._make(options, device)
        except (DatasetError, WeightsUnusable, ValueError) as error:
            raise CommandError(str(error)) from None

    def _make(self, options: Mapping[str, Any], device: str) -> None:
        from search.training.dataset import TrainingMarks
        from search.training.hashing.run import itq_head, load_data

        name = options["config"]
        total = len(TrainingMarks.load(options["data"]).of_kinds(options["kinds"]))
        with tqdm(total=total, unit="mark", desc="features", file=sys.stderr) as bar:
            features = options["features"] or Path("build/hash/train")
            data = load_data(options["data"], features, kinds=options["kinds"], device=device, done=bar.update)
        if name in ITQ:
            self._finish(itq_head(data, int(name.split("-")[1])), "Fitted", options)
            return
        self._train(data, RECIPES[name], options, device)

    def _train(self, data: Any, recipe: Any, options: Mapping[str, Any], device: str) -> None:
        from search.training.hashing.run import finished_head, start
        from tuning.evaluation.kept import kept_figures

        out: Path = options["out"] or Path("build/hash") / recipe.name
        run = start(data, recipe, out, device=device)
        out.mkdir(parents=True, exist_ok=True)
        with (
            tqdm(total=recipe.steps, initial=run.step, unit="step", desc=recipe.name, file=sys.stderr) as bar,
            (out / "log.jsonl").open("a", encoding="utf-8") as log,
        ):

            def report(step: int, figures: Mapping[str, float]) -> None:
                line = {"step": step, **{name: round(value, 5) for name, value in figures.items()}}
                if step == recipe.steps:
                    line |= {f"kept {name}": value for name, value in kept_figures(run).items()}
                log.write(json.dumps(line) + "\n")
                bar.set_postfix(loss=f"{figures['loss']:.3f}")
                bar.update()

            run.run(out, report=report, every=500)
        head = finished_head(run)
        if head is None:
            self.stdout.write(
                f"Trained {run.step} steps; the checkpoint is in {out}. It needs the feature map: measured, not served."
            )
            return
        self._finish(head, f"Trained {run.step} steps;", options)

    def _finish(self, head: Any, what: str, options: Mapping[str, Any]) -> None:
        from search.retrieval.describe import WEIGHTS
        from search.retrieval.hashing.heads import FOLDER

        out: Path = options["out"] or Path("build/hash") / options["config"]
        folder = WEIGHTS / FOLDER if options["write"] else out
        path = folder / f"{head.name}.safetensors"
        head.save(path)
        self.stdout.write(f"{what} {path} and its card can be used.")
