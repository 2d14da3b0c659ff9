"""What could be learned from which groups: on a small world, every part against the oracle."""

import numpy as np
import pytest

from benchmarks import learnable, loop
from tests.tuning.simulation.worlds import small_world


def test_no_part_teaches_more_about_the_test_groups_than_they_do_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_world", small_world())
    found = learnable.gains(0)
    assert found.shape == (len(learnable.LEARNED_ON), 2)
    together = found.sum(axis=1)
    assert together.argmax() == list(learnable.LEARNED_ON).index("test (the oracle)")
    assert together.max() > 0.01
    assert np.array_equal(learnable.gains(0), found)
