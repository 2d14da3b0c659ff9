import math

import pytest

from search.training.schedule import cosine_restarts, one_cycle


def test_the_papers_schedule_epoch_by_epoch() -> None:
    factors = [cosine_restarts(epoch, cycle=10, warmup=5) for epoch in range(30)]
    assert factors[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    # The first cosine spans epochs 5 to 10: half-way after 2.5.
    assert factors[7] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.4)))
    assert factors[10] == pytest.approx(0.9) and factors[15] == pytest.approx(0.45)
    assert factors[20] == pytest.approx(0.81) and factors[25] == pytest.approx(0.405)


def test_each_cycle_falls_to_nearly_zero() -> None:
    for end in (999, 1999, 2999):
        assert 0 <= cosine_restarts(end, cycle=1000, warmup=500) < 1e-4


def test_warm_up_is_only_in_the_first_cycle() -> None:
    assert cosine_restarts(0, cycle=10, warmup=5) == pytest.approx(0.2)
    assert cosine_restarts(10, cycle=10, warmup=5, decay=1.0) == 1.0


def test_one_cycle_rises_peaks_and_falls() -> None:
    assert one_cycle(0, total=101) == pytest.approx(0.04)
    assert one_cycle(15, total=101) == pytest.approx(0.52)  # half-way up
    assert one_cycle(30, total=101) == pytest.approx(1.0)
    assert one_cycle(65, total=101) == pytest.approx(0.5, abs=1e-5)
    assert one_cycle(100, total=101) == one_cycle(500, total=101) == pytest.approx(4e-6)


def test_one_cycle_without_a_warm_up_starts_at_the_peak() -> None:
    assert one_cycle(0, total=10, warm_share=0.0) == 1.0


def test_impossible_schedules_are_refused() -> None:
    with pytest.raises(ValueError, match="warmup"):
        cosine_restarts(0, cycle=5, warmup=5)
    with pytest.raises(ValueError, match="total"):
        one_cycle(0, total=1)
