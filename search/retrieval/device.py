"""Where tensors are computed: decided once, on first use, inside the process that computes."""

from __future__ import annotations

import functools
import os


@functools.cache
def device_name() -> str:
    """ "cuda" when a device is present, else "cpu"; TM_DEVICE ("cpu", "cuda", "cuda:1") overrides.

    Raises RuntimeError with a sentence when TM_DEVICE names something that is not there.
    """
    import torch

    wanted = os.environ.get("TM_DEVICE", "").strip().lower()
    if not wanted or wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.split(":")[0] not in ("cpu", "cuda"):
        raise RuntimeError(f"TM_DEVICE is {wanted!r}; it must be cpu, cuda or cuda:N.")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise RuntimeError(f"TM_DEVICE is {wanted!r}, but no CUDA device is present.")
    return wanted


def spare_threads() -> int:
    """How many operations of the encoder may run at the same time, each on as many cores as torch gives it.

    1 where an operation takes all cores, as it does unless OMP_NUM_THREADS says otherwise, and on a GPU.
    """
    import torch

    return max(1, (os.cpu_count() or 1) // torch.get_num_threads()) if device_name() == "cpu" else 1
