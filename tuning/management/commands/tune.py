"""`manage.py tune`: one tuning run, here and now."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from search.commands import SentenceCommand, add_by, who
from tuning.models import TuningRun
from tuning.services import run_carry_out, run_json


class Command(SentenceCommand):
    help = "Read the feedback since the last run, decide per cluster, prove a proposal and let it go live."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="decide and prove, but change nothing")
        parser.add_argument("--cluster", type=int, metavar="N", help="only this cluster")
        parser.add_argument("--json", action="store_true")
        add_by(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        run = TuningRun.objects.create(
            kind=TuningRun.Kind.DRY_RUN if options["dry_run"] else TuningRun.Kind.MANUAL,
            requested_by=who(options["by"]),
            only_cluster=options["cluster"],
        )
        run_carry_out(run_id=run.pk)
        run.refresh_from_db()
        if run.state == TuningRun.State.FAILED:
            raise CommandError(run.reason)
        if options["json"]:
            self.stdout.write(json.dumps(run_json(run), indent=1))
            return
        self.stdout.write(f"Run {run.pk}: {run.get_state_display()}. {run.reason}")
        for decision in run.decisions.all():
            self.stdout.write(f"  {decision.scope}: {decision.reason}")
