import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from search.retrieval.device import device_name


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    device_name.cache_clear()
    yield
    device_name.cache_clear()


def test_override_and_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TM_DEVICE", "cpu")
    assert device_name() == "cpu"
    monkeypatch.setenv("TM_DEVICE", "")
    assert device_name() == "cpu", "decided once: a later change does not count"
    device_name.cache_clear()
    assert device_name() == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TM_DEVICE", "tpu")
    with pytest.raises(RuntimeError, match="must be cpu"):
        device_name()
    monkeypatch.setenv("TM_DEVICE", "cuda:7")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="no CUDA device"):
        device_name()


def test_importing_the_engine_loads_neither_torch_nor_faiss() -> None:
    code = (
        "import sys, search.retrieval, search.retrieval.describe, search.retrieval.device;"
        "sys.exit(bool({'torch', 'faiss'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
