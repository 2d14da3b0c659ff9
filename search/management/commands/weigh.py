"""`manage.py weigh`: give descriptors a weight by hand, for instance `colour` where examiners care for colour."""

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from search.commands import SentenceCommand, add_by, who
from search.parameter_sets import parameter_set_reweigh


def _weight(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a weight (use colour=0.1)") from None


class Command(SentenceCommand):
    help = "Give descriptors these weights in every cluster; the other descriptors share the rest as before."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("weights", nargs="+", type=_weight, metavar="NAME=SHARE", help="for instance colour=0.1")
        parser.add_argument("--reason", required=True, help="kept with the history")
        add_by(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        made = parameter_set_reweigh(
            weights=dict(options["weights"]), actor=who(options["by"]), reason=options["reason"]
        )
        default = made.unpack().default.weights
        self.stdout.write(f"P{made.pk} is live: " + ", ".join(f"{n} {100 * w:.1f} %" for n, w in default.items()))
