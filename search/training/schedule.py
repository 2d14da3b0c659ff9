"""Learning-rate schedules as pure functions: step number -> factor on the peak rate."""

from __future__ import annotations

import math


def cosine_restarts(step: int, *, cycle: int, warmup: int = 0, decay: float = 0.9) -> float:
    """Hu et al. section 4.2: warm-up, cosine, restart every `cycle` steps with the peak times `decay`.

    Reading (SGDR, Loshchilov & Hutter, ICLR 2017, with warm restarts): cycle c spans the steps [c*cycle, (c+1)*cycle)
    and falls from decay^c to 0 along half a cosine; in the first cycle the first `warmup` steps rise linearly to 1 and
    the cosine spans the rest. The paper: cycle 10 epochs, warm-up 5, peak 2.5e-4, 30 epochs.
    """
    if not 0 <= warmup < cycle or step < 0:
        raise ValueError("need 0 <= warmup < cycle and step >= 0")
    number, inside = divmod(step, cycle)
    if number == 0:
        if inside < warmup:
            return (inside + 1) / warmup  # the first step already moves
        return _half_cosine((inside - warmup) / (cycle - warmup))
    return decay**number * _half_cosine(inside / cycle)


def one_cycle(step: int, *, total: int, warm_share: float = 0.3, start: float = 0.04, end: float = 4e-6) -> float:
    """Smith & Topin (2018): up from `start` to 1 in the first `warm_share` of the steps, down to `end`, along cosines.

    Steps beyond `total` stay at `end`.
    """
    if total < 2 or not 0 <= warm_share < 1 or step < 0:
        raise ValueError("need total >= 2, 0 <= warm_share < 1 and step >= 0")
    peak = warm_share * (total - 1)
    if step < peak:
        return 1 + (start - 1) * _half_cosine(step / peak)
    return end + (1 - end) * _half_cosine(min((step - peak) / (total - 1 - peak), 1.0))


def _half_cosine(share: float) -> float:
    """1 at 0, 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * share))
