"""`manage.py evaluate`: mAP@100, NAR, median rank and recall@100 in METU layout; needs no database."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db import connection

from search.retrieval.descriptors import DESCRIPTORS
from tuning.evaluation import (
    FUSED,
    ROWS,
    VARIANTS,
    LayoutError,
    evaluate,
    load,
    passes,
    split_groups,
    to_json,
    to_text,
    uses_describer,
)
from tuning.evaluation.rows import check, shares_general


class Command(BaseCommand):
    help = "Measure how well descriptors and their fusion find the relatives of each query."
    requires_system_checks: tuple[str, ...] = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--queries", type=Path, required=True, metavar="DIR", help="<instance>-<group>.jpg files")
        parser.add_argument("--pool", type=Path, required=True, metavar="DIR", help="all other marks")
        parser.add_argument(
            "--descriptor",
            action="append",
            metavar="NAME",
            help=f"{', '.join(ROWS)}; may be given several times (default: fused)",
        )
        variant = parser.add_mutually_exclusive_group()
        variant.add_argument(
            "--exclude-query", action="store_true", help="only the variant without the query in its list"
        )
        variant.add_argument("--include-query", action="store_true", help="only the official METU variant")
        parser.add_argument(
            "--split", choices=["fit", "validate", "test"], help="only the queries of one split of the groups"
        )
        parser.add_argument(
            "--splits",
            type=Path,
            metavar="FILE",
            help="splits file (default: splits.json beside the queries)",
        )
        parser.add_argument("--no-cache", action="store_true", help="describe every image anew and keep nothing")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = self._evaluate(options)
        except LayoutError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"A file cannot be read or written: {error}.") from None
        if found.refused:
            what = (
                "1 pool image could not be read and was"
                if found.refused == 1
                else f"{found.refused} pool images could not be read and were"
            )
            self.stderr.write(f"{what} left out.")
        self.stdout.write(json.dumps(to_json(found), indent=1) if options["json"] else to_text(found))

    def _evaluate(self, options: dict[str, Any]) -> Any:
        from tqdm import tqdm

        from search.retrieval.describe import Describer
        from search.retrieval.encoders import WeightsUnusable
        from search.retrieval.vector_store import VectorStore

        layout = load(options["queries"], options["pool"])
        only = None
        if options["split"]:
            only = split_groups(layout, path=options["splits"])[options["split"]]
        names = list(dict.fromkeys(options["descriptor"] or [FUSED]))
        check(names)
        variants = VARIANTS
        if options["exclude_query"] or options["include_query"]:
            variants = ("excluded",) if options["exclude_query"] else ("official",)
        cache = None if options["no_cache"] else settings.TM_DATA_DIR / "evaluate-cache"
        try:
            describer = Describer() if any(uses_describer(name) for name in names) else None
            shared = describer is not None and shares_general(names, describer)
            runs = len(passes(names, encoder_is_general=shared))
            total = runs * (len(layout.query_paths) + len(layout.pool_paths))
            with tqdm(total=total, unit="mark", desc="evaluate", file=sys.stderr, leave=False) as bar:
                return evaluate(
                    layout,
                    describer,
                    descriptors=names,
                    variants=variants,
                    weights_for=_live_weights(describer.version) if describer and FUSED in names else None,
                    only_groups=only,
                    store=VectorStore(cache, describer.version) if describer and cache else None,
                    vectors=cache / "vectors" if cache else None,
                    encoder_is_general=shared,
                    done=bar.update,
                )
        except WeightsUnusable as error:
            raise LayoutError(str(error)) from None


def _live_weights(descriptors_version: str) -> Any:
    """Weights of the live parameter set for each query's cluster; None (the first weights) where there is none.

    A clean clone has no database, and that is fine here.
    """
    from search.engine import engine
    from search.retrieval.snapshot import SnapshotRefused
    from search.selectors import live_parameters

    try:
        live = None if _database_is_absent() else live_parameters()
    except DatabaseError:
        live = None
    if live is None or live.descriptors_version != descriptors_version:
        return None
    names = DESCRIPTORS
    if not live.clusters:
        return lambda descriptions: np.array(live.default.weight_vector(names))
    snapshots = engine.snapshots
    current = snapshots.current()
    try:
        clusters = snapshots.open(current).clusters if current else None
    except SnapshotRefused:
        clusters = None
    if clusters is None or clusters.version != live.clusters_version:
        return lambda descriptions: np.array(live.default.weight_vector(names))

    def weights(descriptions: Any) -> Any:
        numbers = clusters.assign(np.stack([d.vectors["general"] for d in descriptions]))
        return np.array([live.for_cluster(int(c)).weight_vector(names) for c in numbers])

    return weights


def _database_is_absent() -> bool:
    """Asking SQLite for a file that is not there would make an empty one."""
    return connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).is_file()
