"""Feedback becomes an encoder that must pass the gate: real database, real encoder, a recipe of a few steps."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from django.urls import reverse

from search import encoders
from search.errors import Refused
from search.models import LivePointer, Mark
from search.parameter_sets import parameter_set_reweigh
from search.retrieval.calibration import Calibration
from search.retrieval.describe import Describer
from search.retrieval.first_weights import FirstWeights
from search.selectors import live_parameter_set
from search.training.dataset import ALONE, TrainingMarks
from search.training.recipes import Recipe
from tests.tuning.encoders import concluded, held_out, query
from tuning import encoder_data, encoder_training
from tuning.encoder_training import train_from_feedback
from tuning.gate import GateConfig
from tuning.models import TuningRun

pytestmark = pytest.mark.django_db
TINY = Recipe(
    "tiny", steps=2, sides=((0, 64),), pairs=4, shares={"family": 0.6, "alone": 0.4}, warm_up=1, hard_from=1,
    frozen=2, chunk=8, average=0.5,
)  # fmt: skip
LENIENT = GateConfig(epsilon=1.01, safety_epsilon=1.01, safety_mean=1.01, f1_epsilon=1.01, cluster_limit=1.01)
FAMILIES = 4


@pytest.fixture
def office(register: Any, settings: Any, tmp_path: Path, make_user: Any) -> Any:
    """Four searches by two examiners, each with one mark added and one removed."""
    settings.TM_HELD_OUT = held_out(tmp_path / "held-out")
    people = [make_user("ann"), make_user("bob")]
    for n in range(FAMILIES):
        numbers = [f"T/{n:03}", f"T/{n + 10:03}", f"T/{n + 20:03}"]
        concluded(people[n % 2], query(n), numbers, added=(numbers[0],), removed=(numbers[1],))
    yield register
    encoders.activate(None)


def train(**more: Any) -> TuningRun:
    return train_from_feedback(requested_by="test", recipe=TINY, least_families=FAMILIES, **more)


def test_too_few_families_are_refused_with_how_many_there_are(office: Any) -> None:
    with pytest.raises(Refused, match=r"confirmed 4 families .* 20 are needed"):
        train_from_feedback(requested_by="test")
    assert not TuningRun.objects.exists()


def test_a_stopped_training_goes_on_and_ends_in_a_judged_encoder(office: Any, client: Any, administrator: Any) -> None:
    before = office.describer.version, live_parameter_set(), office.snapshots.current()

    def stop(done: int, total: int, what: str) -> None:
        if what.startswith("fitting"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(progress=stop)
    stopped = TuningRun.objects.get()
    assert stopped.state == "proposed" and stopped.kind == "encoder"
    folder = encoders.directory(stopped.encoder)
    marks = TrainingMarks.load(folder / "data")
    assert marks.side == 192 and sorted(len(rows) for rows in marks.members().values()) == [2] * FAMILIES
    removed = Mark.objects.get(number="T/010").image_sha256
    assert marks.families[list(marks.names).index(removed)] == ALONE  # a confirmed stranger
    assert len(marks) == FAMILIES + Mark.objects.count()  # each search's own picture, and every mark once
    trained = (folder / "encoder.safetensors").read_bytes()

    run = train(gate=LENIENT)
    assert run.pk == stopped.pk and run.state == "validated", run.reason
    assert (folder / "encoder.safetensors").read_bytes() == trained  # not trained again
    assert "4 families that 2 examiners confirmed in 4 searches" in run.reason
    assert run.gate["passed"] and {m["name"] for m in run.gate["metrics"]} >= {"map100", "recall"}
    card = json.loads((folder / "encoder.json").read_text())
    assert card["recipe"]["name"] == "tiny" and card["data"]["families"] == FAMILIES
    candidate = Describer(weights=folder)
    assert candidate.version != before[0]
    assert Calibration.load(folder / "calibration.json").made_for == candidate.version
    first = FirstWeights.load(folder / "first_weights.json")
    assert first.made_for == candidate.version
    live = live_parameter_set()
    assert live is not None and set(first.weights) == set(candidate.names)
    shares = {name: live.unpack().default.weights[name] for name in candidate.names}
    assert first.weights == pytest.approx({name: share / sum(shares.values()) for name, share in shares.items()})
    lost = [name for name in office.describer.names if name not in candidate.names]
    assert f"serve without {', '.join(lost)}." in run.reason
    assert not (folder / "data").exists() and not (folder / "checkpoint.pt").exists()
    assert (office.describer.version, live_parameter_set(), office.snapshots.current()) == before

    client.force_login(administrator)
    page = client.get(reverse("tuning-run", args=[run.pk])).content.decode()
    assert run.encoder in page and "passed" in page and "decision tree" not in page
    assert run.encoder in client.get(reverse("tuning")).content.decode()


def test_a_bad_encoder_is_rejected_and_leaves_everything_as_it_was(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that this one sees of a mark is a single number. Colours, which need no encoder, must not help it out."""
    parameter_set_reweigh(weights={"colour": 0.0, "semantic": 0.0}, actor="test", reason="shape alone")

    def ruined(folder: Path, recipe: Recipe, progress: Any) -> None:
        from search.retrieval.encoders.efficientnet_lite import imagenet_weights
        from search.training.export import save_encoder
        from search.training.network import TrademarkNetwork

        torch.manual_seed(0)
        network = TrademarkNetwork()
        network.backbone.load_folded(imagenet_weights())
        with torch.no_grad():
            network.projection.weight.copy_(torch.randn(256)[:, None] * torch.randn(1280)[None])
        save_encoder(folder / "encoder.safetensors", network.backbone, network.projection, p=3.0, metadata={
            "data": {"families": 4, "examiners": 2, "searches": 4},
        })  # fmt: skip

    monkeypatch.setattr(encoder_training, "_train", ruined)
    before = office.describer.version, LivePointer.objects.get().parameter_set, office.snapshots.current()
    run = train()
    assert run.state == "rejected" and run.reason.startswith("Rejected on 3 held-out groups: "), run.reason
    change = next(m for m in run.gate["metrics"] if m["name"] == "map100")
    assert change["after"] < change["before"] - 0.1
    assert encoders.current() is None and encoders.weights() == encoders.WEIGHTS
    assert (office.describer.version, LivePointer.objects.get().parameter_set, office.snapshots.current()) == before
    from tuning.encoder_activation import encoder_activate

    with pytest.raises(Refused, match="is rejected; only one that passed"):
        encoder_activate(encoder_id=run.encoder, by="ada")


def test_held_out_images_are_in_no_family_and_not_among_the_marks_alone(office: Any, examiner: Any) -> None:
    """An examiner searched with a held-out picture, and one of the register's marks is held out as well."""
    root = Path(encoder_data.held_out_layout().queries)
    held = (root / "1-5.png").read_bytes()
    concluded(examiner, held, ["T/008"], added=("T/008",))
    (root / "4-5.png").write_bytes(encoder_data.media.read(Mark.objects.get(number="T/009").image))
    gathered = encoder_data.gather(least=FAMILIES)
    seen = {image for family in gathered.families for image in family} | set(gathered.alone)
    assert len(gathered.families) == FAMILIES and hashlib.sha256(held).hexdigest() not in seen
    assert Mark.objects.get(number="T/009").image_sha256 not in seen
    assert Mark.objects.get(number="T/008").image_sha256 in gathered.alone
    with pytest.raises(Refused, match="1 more are of held-out marks"):
        encoder_data.gather(least=FAMILIES + 1)


def test_broken_images_are_skipped_and_counted(office: Any, tmp_path: Path) -> None:
    gathered = encoder_data.gather(least=FAMILIES)
    broken, gone = tmp_path / "broken.png", tmp_path / "gone.png"
    broken.write_bytes(b"no image")
    one, two, three = gathered.alone[-1], gathered.alone[-2], gathered.alone[-3]
    altered = tmp_path / three  # an image, but not the one that its name promises
    altered.write_bytes(gathered.paths[two].read_bytes())
    paths = {**gathered.paths, one: broken, two: gone, three: altered}
    kept = encoder_data.Gathered(gathered.families, gathered.alone[-5:], paths, gathered.facts)
    facts = encoder_data.write(kept, tmp_path / "data", least=FAMILIES, progress=lambda *_: None)
    marks = TrainingMarks.load(tmp_path / "data")
    assert facts["skipped"] == 3 and len(marks) == 2 * FAMILIES + 2
    paths[gathered.families[0][0]] = broken
    with pytest.raises(Refused, match="only 3 have two images"):
        encoder_data.write(kept, tmp_path / "less", least=FAMILIES, progress=lambda *_: None)
    assert np.all(marks.families[-2:] == ALONE)


def test_two_trainings_at_once_are_refused(office: Any) -> None:
    with encoder_training._one_trainer(), pytest.raises(Refused, match="already"):
        train()
