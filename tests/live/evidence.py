"""A live set that is bad on purpose and a week of examiners who say so, in the data directory of a service.

    TM_DATA_DIR=... python -m tests.live.evidence SEED

A process of its own, as the tests look at the service from outside. The next tuning run on it promotes a set.
"""

import os
import sys
from dataclasses import replace
from typing import Any


def main(seed: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tmportal.settings")
    import django

    django.setup()
    from django.contrib.auth import get_user_model

    from search.models import Mark
    from search.parameter_sets import parameter_set_create, parameter_set_promote
    from search.retrieval.descriptors import DESCRIPTORS
    from search.selectors import live_parameter_set
    from tests.tuning.weeks import week

    live = live_parameter_set()
    parameters = live.unpack()
    weights = {**dict.fromkeys(DESCRIPTORS, 0.0), "colour": 0.7, "general": 0.3}
    bad = parameter_set_create(
        parameters=replace(parameters, default=replace(parameters.default, weights=weights), clusters={}),
        made_by="test",
        reason="bad",
        parent=live,
    )
    parameter_set_promote(parameter_set=bad, expected=live, actor="test", reason="bad start")

    def examiner(name: str) -> Any:
        return get_user_model().objects.create_user(name)

    week(examiner, bad, seed=seed, marks=list(Mark.objects.order_by("pk")[:24]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
