"""Letting an office's own encoder serve, and going back."""

import json
import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from search import encoders
from search.engine import Engine
from search.errors import NotThere, Refused, Unavailable
from search.retrieval.calibration import Calibration
from search.retrieval.describe import WEIGHTS, Describer
from search.retrieval.first_weights import FirstWeights
from search.retrieval.records import Filters
from search.retrieval.whitening import Whitening
from search.selectors import live_parameter_set
from tests import pictures
from tuning.encoder_activation import encoder_activate
from tuning.models import TuningRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def candidate(register: Any) -> Iterator[TuningRun]:
    """A validated run: the shipped weights with a shorter whitening, which makes other vectors of them."""
    folder = encoders.folder() / "own-1"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(WEIGHTS, folder)
    for name in ("general", "edges"):
        whole = Whitening.load(WEIGHTS / f"{name}.npz")
        Whitening(whole.mean, np.ascontiguousarray(whole.matrix[:, :64])).save(folder / f"{name}.npz")
    describer = Describer(weights=folder)
    calibration = Calibration({"general": 9.0}, {"general": -5.0}, made_for=describer.version)
    (folder / "calibration.json").write_text(json.dumps(calibration.to_json()))
    weights = {"general": 0.6, "edges": 0.2, "objects": 0.2}
    FirstWeights(weights, 0.42, made_for=describer.version).save(folder / "first_weights.json")
    run = TuningRun.objects.create(
        kind="encoder", state="validated", requested_by="test", encoder="own-1",
        gate={"passed": True, "against": register.describer.version},
    )  # fmt: skip
    yield run
    encoders.activate(None)
    shutil.rmtree(folder)


def search(engine: Engine) -> Any:
    picture = pictures.encoded(pictures.mark(3))
    parameters = live_parameter_set().unpack()
    return engine.search(picture, parameters, filters=Filters(), depth="register", candidates=20, top=5)


def test_an_activated_encoder_describes_at_once_and_serves_after_the_snapshot(
    register: Any, candidate: TuningRun
) -> None:
    shipped, before = register.describer.version, register.snapshots.current()
    assert search(register)[1].id == before
    out = StringIO()
    call_command("train_encoder", activate="own-1", stdout=out)
    assert "manage.py snapshot" in out.getvalue()
    candidate.refresh_from_db()
    assert candidate.state == "live" and encoders.current() == "own-1"
    assert register.describer.version == Describer(weights=encoders.directory("own-1")).version != shipped
    assert search(register)[1].id == before  # searches go on with what fits the snapshot
    with pytest.raises(Unavailable, match=r"was made with descriptors .*; rebuild|build .*snapshot"):
        Engine().searcher()
    assert Engine().serving()[0].snapshot.id == before  # so does a process that starts now

    call_command("snapshot", stdout=StringIO())
    answer, snapshot = search(register)
    assert snapshot.id != before and snapshot.descriptors_version == register.describer.version
    assert answer.hits[0].number == "T/003"
    assert snapshot.calibration.slopes == {"general": 9.0}
    live = live_parameter_set().unpack()
    assert live.descriptors_version == register.describer.version and live.default.threshold == 0.42
    assert live.default.weights["general"] == pytest.approx(0.6)

    call_command("train_encoder", activate="shipped", stdout=StringIO())
    candidate.refresh_from_db()
    assert encoders.current() is None and candidate.state == "retired" and register.describer.version == shipped
    call_command("snapshot", stdout=StringIO())
    assert search(register)[1].descriptors_version == shipped
    assert encoder_activate(encoder_id="own-1", by="ada")  # and again


@pytest.mark.parametrize("state", ["proposed", "rejected", "failed"])
def test_only_a_validated_encoder_may_serve(candidate: TuningRun, state: str) -> None:
    TuningRun.objects.update(state=state)
    with pytest.raises(CommandError, match="only one that passed the gate may serve"):
        call_command("train_encoder", activate="own-1")
    assert encoders.current() is None


def test_an_encoder_nobody_judged_is_refused(candidate: TuningRun) -> None:
    TuningRun.objects.all().delete()
    with pytest.raises(Refused, match="has never been judged"):
        encoder_activate(encoder_id="own-1", by="ada")


@pytest.mark.parametrize("name", ["nothing", "..", "", "own-1/../own-1"])
def test_a_name_that_is_no_encoder_is_refused(candidate: TuningRun, name: str) -> None:
    with pytest.raises(NotThere, match="There is no encoder"):
        encoder_activate(encoder_id=name, by="ada")


def test_an_encoder_judged_against_another_one_is_refused(candidate: TuningRun) -> None:
    TuningRun.objects.update(gate={"against": "d-other"})
    with pytest.raises(Refused, match="judged against another encoder"):
        encoder_activate(encoder_id="own-1", by="ada")


def test_an_encoder_whose_files_do_not_belong_together_is_refused(candidate: TuningRun) -> None:
    (encoders.directory("own-1") / "calibration.json").write_text(json.dumps(Calibration().to_json()))
    with pytest.raises(Refused, match="another release"):
        encoder_activate(encoder_id="own-1", by="ada")
    (encoders.directory("own-1") / "general.npz").unlink()
    with pytest.raises(Refused, match="cannot be used"):
        encoder_activate(encoder_id="own-1", by="ada")


def test_a_pointer_to_a_directory_that_is_gone_is_said_in_a_sentence(settings: Any, tmp_path: Path) -> None:
    settings.TM_DATA_DIR = tmp_path
    assert encoders.weights() == WEIGHTS
    (tmp_path / "encoders").mkdir()
    (tmp_path / "encoders" / "CURRENT").write_text("lost\n")
    with pytest.raises(Unavailable, match="train_encoder --activate shipped"):
        encoders.weights()
