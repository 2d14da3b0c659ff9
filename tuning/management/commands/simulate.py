"""`manage.py simulate`: one simulated year of weekly tuning, week by week; needs no database."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from search.retrieval.encoders import WeightsUnusable
from tuning.evaluation import LayoutError, load
from tuning.simulate import ARMS, STARTS, Scenario, Year, simulate
from tuning.simulation.examiners import MIXED, PROFILES
from tuning.simulation.load import world_of


class Command(BaseCommand):
    help = "Simulate examiners over real families and watch the tuning learn (or an alternative)."
    requires_system_checks: tuple[str, ...] = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        held_out = Path(settings.TM_HELD_OUT)
        parser.add_argument("--queries", type=Path, default=held_out / "queries", metavar="DIR")
        parser.add_argument("--pool", type=Path, default=held_out / "pool", metavar="DIR", help="METU layout")
        parser.add_argument("--arm", choices=ARMS, default="ours")
        parser.add_argument("--start", choices=STARTS, default="worst-weights")
        parser.add_argument("--profile", choices=list(PROFILES), default=MIXED, help="the ten examiners")
        parser.add_argument("--weeks", type=int, default=12)
        parser.add_argument("--searches", type=int, default=200, help="a week")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--json", action="store_true", help="every week's figures")

    def handle(self, *args: Any, **options: Any) -> None:
        from tqdm import tqdm

        cache = Path(settings.TM_DATA_DIR) / "simulations"
        try:
            scenario = Scenario(
                options["start"], options["profile"], options["weeks"], options["searches"], options["seed"]
            )
            with tqdm(desc="world", unit="mark", file=sys.stderr, leave=False) as bar:
                world, _ = world_of(load(options["queries"], options["pool"]), cache, done=_onto(bar))
            with tqdm(desc="weeks", unit="week", file=sys.stderr, leave=False) as bar:
                year = simulate(world, options["arm"], scenario, progress=_onto(bar))
        except (LayoutError, WeightsUnusable, ValueError) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"A file cannot be read or written: {error}.") from None
        self.stdout.write(json.dumps(year.to_json(), indent=1) if options["json"] else _text(year))


def _onto(bar: Any) -> Any:
    def done(count: int, total: int) -> None:
        bar.total = total
        bar.update(count - bar.n)

    return done


def _text(year: Year) -> str:
    lines = ["week     PC  mAP@100     F1  step"]
    for week in year.weeks:
        figures = week.figures
        lines.append(
            f"{week.number:4}  {week.pc:5.1%}   {100 * figures.map100:6.2f} {100 * figures.f1:6.2f}  "
            f"{week.step}{f': {week.reason}' if week.step in ('promoted', 'rolled_back') else ''}"
        )
    best, s = year.ceiling, year.summary()
    lines.append(
        f"start {100 * year.weeks[-1].begun.map100:.2f} / {100 * year.weeks[-1].begun.f1:.2f}, ",
    )
    lines[-1] += f"ceiling {100 * best.map100:.2f} / {100 * best.f1:.2f}"
    for name, words in (("gap_closed_map", "mAP@100"), ("gap_closed_f1", "F1")):
        if s[name] is not None:
            lines.append(f"closed {s[name]:.0%} of the gap in {words}")
    return "\n".join(lines)
