"""`manage.py train_hash`: features once, a run to its end, a head that loads; clear refusals."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from search.retrieval.hashing import HashHead
from search.training.dataset import MARKS, write_index
from tests.search.training.conftest import SIDE, shape


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten families of four marks, one of them kept; of them eight shapes, two turned."""
    folder = tmp_path_factory.mktemp("data")
    pictures = [np.rot90(shape(family % 8, 14 + 4 * size), family // 8) for family in range(10) for size in range(4)]
    grey = np.ascontiguousarray(np.stack(pictures))
    assert grey.shape == (40, SIDE, SIDE)
    np.save(folder / MARKS, grey)
    kinds = ["kept" if n // 4 == 9 else "brand" if n // 4 > 6 else "family" for n in range(40)]
    write_index(folder, [f"t:word-{n // 8}" for n in range(40)], [n // 4 for n in range(40)], kinds, {"licences": {}})
    return folder


def train(config: str, data: Path, out: Path, **more: object) -> str:
    said = StringIO()
    features = data / "features"
    call_command("train_hash", config=config, data=data, features=features, out=out, device="cpu", stdout=said, **more)
    return said.getvalue()


@pytest.mark.parametrize("config", ["smoke-000", "smoke-001"])
def test_a_run_ends_in_a_head_that_can_be_loaded(config: str, data: Path, tmp_path: Path) -> None:
    assert "Trained 4 steps" in train(config, data, tmp_path)
    head = HashHead.load(tmp_path / f"hash-{config}.safetensors")
    assert (head.bits, head.dim) == (16, 256)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert 0 < lines[-1]["kept map100"] <= 100 and "kept map100" not in lines[0]
    assert "Trained 4 steps" in train(config, data, tmp_path), "a finished run is finished"
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 4


def test_capsules_are_measured_and_not_served(data: Path, tmp_path: Path) -> None:
    assert "needs the feature map" in train("smoke-capsules", data, tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))


def test_itq_is_fitted_and_only_on_the_kinds_asked_for(data: Path, tmp_path: Path) -> None:
    assert "Fitted" in train("itq-32", data, tmp_path)
    facts = HashHead.load(tmp_path / "itq-32.safetensors").facts["data"]
    assert (facts["marks"], facts["families"], facts["kept"]) == (36, 9, 4)
    with pytest.raises(CommandError, match="too few for 32 bits"):
        train("itq-32", data, tmp_path, kinds=["family"])


def test_refusals_are_sentences(data: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"benchmarks/build_training\.py"):
        train("smoke-000", tmp_path / "nowhere", tmp_path)
    train("smoke-000", data, tmp_path)
    with pytest.raises(CommandError, match="of recipe 'smoke-000'"):
        train("smoke-001", data, tmp_path)
