"""`manage.py evaluate` as a client sees it: JSON shape, sentences and exit status; no database needed."""

import json

import pytest
from django.core.management import CommandError, call_command

from search.retrieval.calibration import Calibration
from search.retrieval.parameters import ClusterParameters, Parameters
from tests.tuning.evaluation.worlds import FakeDescriber, write_set
from tuning.management.commands.evaluate import _live_weights


@pytest.fixture
def evaluate(tmp_path, monkeypatch, settings, capsys):
    """Runs the command on a small set with a fake describer, over a data directory without a database."""
    settings.TM_DATA_DIR = tmp_path / "data"
    monkeypatch.setattr("search.retrieval.describe.Describer", FakeDescriber)
    monkeypatch.setattr(Calibration, "shipped", classmethod(lambda cls: cls()))
    monkeypatch.setattr("tuning.management.commands.evaluate._database_is_absent", lambda: True)
    queries, pool = write_set(tmp_path / "set")

    def run(*arguments, queries=queries, pool=pool):
        call_command("evaluate", "--queries", str(queries), "--pool", str(pool), *arguments)
        return capsys.readouterr()

    return run


def test_json_has_the_promised_shape(evaluate):
    data = json.loads(evaluate("--json", "--descriptor", "fused", "--descriptor", "general").out)
    assert (data["marks"], data["queries"], data["groups"]) == (21, 9, 3)
    assert list(data["descriptors"]) == ["fused", "general"]
    for variants in data["descriptors"].values():
        assert list(variants) == ["excluded", "official"]
        for found in variants.values():
            assert {"map100", "nar", "median_rank", "recall100", "map100_ci"} <= set(found)
            low, high = found["map100_ci"]
            assert 0 <= low <= found["map100"] <= high <= 1


@pytest.mark.parametrize(("flag", "variant"), [("--exclude-query", "excluded"), ("--include-query", "official")])
def test_one_variant_can_be_asked_for(evaluate, flag, variant):
    data = json.loads(evaluate("--json", flag).out)
    assert list(data["descriptors"]["fused"]) == [variant]


def test_a_table_for_people_and_a_cache_for_the_next_run(evaluate, tmp_path):
    assert "mAP@100" in evaluate().out
    assert list((tmp_path / "data" / "evaluate-cache" / "fake-1").glob("*.feather"))


def test_no_cache_writes_nothing(evaluate, tmp_path):
    evaluate("--no-cache")
    assert not (tmp_path / "data").exists()


def test_one_split_only(evaluate, tmp_path):
    (tmp_path / "set" / "splits.json").write_text('{"fit": [1], "validate": [2], "test": [3]}')
    assert json.loads(evaluate("--json", "--split", "validate").out)["groups"] == 1


def test_unreadable_pool_images_are_counted_on_stderr(evaluate, tmp_path):
    (tmp_path / "set" / "pool" / "mark000.png").write_bytes(b"no picture")
    found = evaluate("--json")
    assert "1 pool image could not be read and was left out." in found.err
    assert json.loads(found.out)["marks"] == 20


def test_bad_input_is_a_sentence(evaluate, tmp_path):
    with pytest.raises(CommandError, match="does not exist"):
        evaluate(pool=tmp_path / "nowhere")
    with pytest.raises(CommandError, match="no descriptor smell; known are fused, general"):
        evaluate("--descriptor", "smell")
    (tmp_path / "set" / "queries" / "1-2.png").write_bytes(b"no picture")
    with pytest.raises(CommandError, match="The query 1-2"):
        evaluate()


def test_live_weights_are_used_only_when_they_fit_the_descriptors(evaluate, monkeypatch):
    live = Parameters(
        default=ClusterParameters({"general": 0.7, "edges": 0.2, "objects": 0.1}, 0.5, 0.15),
        descriptors_version="fake-1",
    )
    monkeypatch.setattr("tuning.management.commands.evaluate._database_is_absent", lambda: False)
    monkeypatch.setattr("search.selectors.live_parameters", lambda: live)
    assert _live_weights("fake-1")([]).tolist()[:4] == [0.7, 0.2, 0.1, 0.0]
    assert _live_weights("fake-2") is None
    assert json.loads(evaluate("--json").out)["queries"] == 9


@pytest.mark.django_db
def test_an_empty_database_means_the_first_weights(monkeypatch):
    monkeypatch.setattr("tuning.management.commands.evaluate._database_is_absent", lambda: False)
    assert _live_weights("fake-1") is None
