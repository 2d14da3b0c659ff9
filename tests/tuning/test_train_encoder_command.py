"""`manage.py train_encoder --config`: a run to its end, its log and its files; clear refusals."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from search.retrieval.encoders.trademark import TrademarkEncoder
from search.training.dataset import MARKS, write_index


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve families of two random patches: enough for a batch of the smallest recipes."""
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    grey = np.full((24, 64, 64), 255, np.uint8)
    for row, picture in enumerate(grey):
        left, top = np.random.default_rng(row // 2).integers(4, 30, 2)
        picture[top : top + 26, left : left + 26] = rng.integers(0, 120, (26, 26))
    np.save(folder / MARKS, grey)
    write_index(folder, [f"t:{n}" for n in range(24)], [n // 2 for n in range(24)], ["family"] * 24, {"licences": {}})
    return folder


def train(config: str, data: Path, out: Path) -> str:
    said = StringIO()
    call_command("train_encoder", config=config, data=data, out=out, device="cpu", stdout=said)
    return said.getvalue()


def test_a_supervised_run_ends_in_an_encoder_that_can_be_loaded(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "Trained 4 steps" in train("smoke", data, out)
    assert TrademarkEncoder(device="cpu", weights=out / "encoder.safetensors").dim == 256
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(np.isfinite(line["loss"]) for line in lines)
    assert "Trained 4 steps" in train("smoke", data, out), "a finished run is finished"
    assert len((out / "log.jsonl").read_text().splitlines()) == 4


def test_the_papers_run_ends_in_a_checkpoint_and_logs_its_kept_negatives(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "the checkpoint is in" in train("paper-smoke", data, out)
    last = json.loads((out / "log.jsonl").read_text().splitlines()[-1])
    assert {"kept", "kept_near", "nce", "co2", "koleo"} <= set(last)


def test_missing_data_is_a_sentence_that_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"benchmarks/build_training\.py"):
        train("smoke", tmp_path / "nowhere", tmp_path / "out")


def test_a_checkpoint_of_another_recipe_is_refused(data: Path, tmp_path: Path) -> None:
    train("smoke", data, tmp_path / "out")
    with pytest.raises(CommandError, match="of recipe 'smoke'"):
        train("paper-smoke", data, tmp_path / "out")
