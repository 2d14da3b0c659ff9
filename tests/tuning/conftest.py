"""What the tests of tuning share: held-out similarities and a live set that needs tuning."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from search.models import ParameterSet
from search.parameter_sets import parameter_set_create, parameter_set_promote
from search.retrieval.descriptors import DESCRIPTORS
from search.selectors import live_parameter_set
from tests.tuning.weeks import rows
from tuning import services
from tuning.objective import HeldOut, HeldOutQuery
from tuning.optimiser import SearchConfig


@pytest.fixture
def held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held-out similarities of the same kind; reading them from a directory has its own test below."""
    rng = np.random.default_rng(7)

    def queries(prefix: str) -> HeldOut:
        made = []
        for group in range(10):
            for member in range(2):
                relevant = np.arange(60) < 3
                made.append(
                    HeldOutQuery(f"{prefix}{member}-{group}", f"{prefix}{group}", 0, rows(rng, relevant), relevant)
                )
        return HeldOut(DESCRIPTORS, tuple(made))

    parts = queries("f"), queries("v")
    monkeypatch.setattr(services, "held_out_load", lambda snapshot, progress=None: parts)


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that look only briefly for parameters: for tests of what is done with what they find."""
    config = replace(services.policy_config(), search=SearchConfig(rounds=3, cloud=24))
    monkeypatch.setattr(services, "policy_config", lambda: config)


@pytest.fixture
def bad_start(register: Any) -> ParameterSet:
    """Live: nearly all weight on noise."""
    live = live_parameter_set()
    parameters = live.unpack()
    weights = {**dict.fromkeys(DESCRIPTORS, 0.0), "general": 0.2, "edges": 0.4, "objects": 0.4}
    default = replace(parameters.default, weights=weights, threshold=0.6)
    made = parameter_set_create(
        parameters=replace(parameters, default=default), made_by="test", reason="bad", parent=live
    )
    parameter_set_promote(parameter_set=made, expected=live, actor="test", reason="bad start")
    return made
