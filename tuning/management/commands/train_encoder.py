"""`manage.py train_encoder`: train the image encoder by a named recipe, or on the office's own feedback; stopped, it
goes on where it was. Or let an encoder of the office serve."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from tqdm import tqdm

from search.commands import SentenceCommand, add_by, who
from search.training.momentum import MomentumTrainer
from search.training.recipes import RECIPES
from search.training.trainer import Trainer


class Command(SentenceCommand):
    help = "Train the image encoder on families of marks (benchmarks/build_training.py makes the data)."
    requires_system_checks: tuple[str, ...] = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--config", choices=sorted(RECIPES), help="recipe, on the marks of --data")
        what.add_argument(
            "--from-feedback", action="store_true", help="train on what examiners confirmed, then judge it at the gate"
        )
        what.add_argument("--activate", metavar="ID", help="let a validated encoder serve; `shipped` goes back")
        parser.add_argument("--data", type=Path, default=Path("build/training"), help="training marks")
        parser.add_argument("--out", type=Path, help="checkpoints and log (default: build/encoder-CONFIG)")
        parser.add_argument("--val", type=Path, metavar="DIR", help="queries/ and pool/ to measure on meanwhile")
        parser.add_argument("--val-pool", type=int, default=3000, help="marks of that pool")
        parser.add_argument("--validate-every", type=int, default=250, metavar="STEPS")
        parser.add_argument(
            "--weights", type=Path, help="start from this encoder, or the paper's backbone from this file"
        )
        parser.add_argument(
            "--from-random", action="store_true", help="a backbone without a package may start by chance"
        )
        parser.add_argument("--workers", type=int, default=0, help="processes that make the pictures (0: a thread)")
        parser.add_argument("--device", choices=("cpu", "cuda"), help="default: CUDA where there is one")
        parser.add_argument("--threads", type=int, default=2)
        add_by(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        import torch

        torch.set_num_threads(options["threads"])
        if options["activate"]:
            self._activate(options["activate"], options["by"])
        elif options["from_feedback"]:
            self._from_feedback(options["by"])
        else:
            self._train(options)

    def _activate(self, encoder_id: str, by: str | None) -> None:
        from tuning.encoder_activation import encoder_activate

        version = encoder_activate(encoder_id=encoder_id, by=who(by))
        self.stdout.write(
            f"Encoder {encoder_id} (descriptors {version}) is in use. Searches go on with the old one until the "
            "register is described with the new one: the running service does that, or `manage.py snapshot` now."
        )

    def _from_feedback(self, by: str | None) -> None:
        from tuning.encoder_training import train_from_feedback

        with tqdm(file=sys.stderr) as bar:

            def progress(done: int, total: int, what: str) -> None:
                bar.total, bar.n = total, done
                bar.set_description(what)

            run = train_from_feedback(requested_by=who(by), progress=progress)
        self.stdout.write(f"Run {run.pk}, encoder {run.encoder}: {run.get_state_display()}. {run.reason}")
        if run.state == run.State.VALIDATED:
            self.stdout.write(f"To let it serve: manage.py train_encoder --activate {run.encoder}")

    def _train(self, options: Mapping[str, Any]) -> None:
        from search.retrieval.device import device_name
        from search.training.dataset import DatasetError, TrainingMarks
        from search.training.export import export_run
        from search.training.run import start
        from tuning.evaluation import LayoutError

        recipe = RECIPES[options["config"]]
        out: Path = options["out"] or Path("build") / f"encoder-{recipe.name}"
        try:
            marks = TrainingMarks.load(options["data"])
            trainer = start(
                marks,
                recipe,
                out,
                device=options["device"] or device_name(),
                weights=options["weights"],
                from_random=options["from_random"],
            )
            measure = (
                _measure(options["val"], options["val_pool"], recipe.side(recipe.steps)) if options["val"] else None
            )
        except (DatasetError, LayoutError, ValueError) as error:
            raise CommandError(str(error)) from None
        out.mkdir(parents=True, exist_ok=True)
        with (
            tqdm(total=recipe.steps, initial=trainer.step, unit="step", file=sys.stderr) as bar,
            (out / "log.jsonl").open("a", encoding="utf-8") as log,
        ):

            def report(step: int, figures: Mapping[str, float]) -> None:
                line = {"step": step, **{name: round(value, 5) for name, value in figures.items()}}
                if measure is not None and (step % options["validate_every"] == 0 or step == recipe.steps):
                    line |= {f"val {name}": value for name, value in measure(trainer).items()}
                    bar.write(json.dumps(line), file=sys.stderr)
                log.write(json.dumps(line) + "\n")
                log.flush()
                bar.set_postfix(loss=f"{figures['loss']:.3f}")
                bar.update()

            trainer.run(out, report=report, workers=options["workers"])
        what = f"the checkpoint is in {out}"
        if isinstance(trainer, Trainer):
            what = f"{export_run(trainer, out, source=marks.source)} and its model card can be used"
        self.stdout.write(f"Trained {trainer.step} steps; {what}.")


_WHITENED = 256
"""Dimensions kept when whitening (science 2.4)."""


def _measure(folder: Path, pool: int, side: int) -> Any:
    """A function of a run: figures on held-out families, its vectors plain and whitened."""
    import cv2

    from search.retrieval.whitening import Whitening
    from tuning.evaluation.vectors import grey_pictures, vector_figures

    cv2.setNumThreads(1)
    grey, groups = grey_pictures(folder, pool, side)

    def measure(run: Trainer | MomentumTrainer) -> dict[str, float]:
        vectors = run.vectors(grey)
        white = Whitening.fit(vectors[len(groups) :], min(_WHITENED, vectors.shape[1])).apply(vectors)
        found = vector_figures(vectors, groups)
        return found | {f"white {k}": v for k, v in vector_figures(white, groups).items()}

    return measure
