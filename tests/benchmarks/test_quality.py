"""The leaderboard on a tiny set in METU layout, with describers made of pixels; its parts by hand."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import quality
from benchmarks.leaderboard import run, speed
from benchmarks.leaderboard.bars import bars
from benchmarks.leaderboard.measure import limited
from benchmarks.leaderboard.page import bar_line, to_markdown
from benchmarks.leaderboard.picture import draw_bytes
from benchmarks.leaderboard.results import FirstResults, telling_queries
from benchmarks.leaderboard.weights import Query, mean_ap, tune
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.first_weights import FirstWeights
from search.retrieval.fusion import fuse
from search.retrieval.hashing.itq import linear_head
from search.retrieval.imaging import decode_picture
from tests.search.retrieval.pictures import encoded, star
from tests.tuning.evaluation.worlds import FakeDescriber, write_set
from tuning.evaluation import load


class Pixels:
    """A source for any row, and the `general` that a describer shares with it."""

    def __init__(self, version="pixels-1"):
        self.version = version
        self.descriptor = self
        self.side = 48

    def vectors(self, images):
        small = [np.asarray(Image.fromarray(p.pixels).convert("L").resize((8, 8)), np.float32) for p in images]
        rows = np.stack([s.ravel() for s in small]) / 255 - 0.5
        return dict.fromkeys(("encoder", "frozen-spoc", "frozen-mac", "frozen-rmac", "frozen-gem"), rows)

    def finish(self, sample):
        return None


class Component:
    def describe(self, marks):
        return [mark.grey.mean() for mark in marks]


class Describer(FakeDescriber):
    names = ("general", "edges")

    def __init__(self):
        super().__init__()
        self.whole = Pixels("general-1")
        self.components = {"general": Component(), "edges": Component()}


class FrozenNetwork:
    dim = 256

    def __init__(self, pooling):
        self.pooling = pooling

    def encode(self, images):
        return np.ones((len(images), self.dim), np.float32)


def code_head(name):
    """Sixteen bits of the fake describer's vectors; only itq-32 is there."""
    if name != "itq-32":
        raise WeightsUnusable(f"The hash head {name} is missing.")
    return linear_head(name, np.zeros(64), np.random.default_rng(0).normal(size=(16, 64)), {})


@pytest.fixture
def leaderboard(tmp_path, monkeypatch, capsys):
    """Runs the script on a tiny set; gives its report."""
    monkeypatch.setattr(run, "Describer", Describer)
    monkeypatch.setattr(run, "load_head", code_head)
    monkeypatch.setattr(run, "FrozenMarks", Pixels)
    monkeypatch.setattr(run, "EncodedMarks", Pixels)
    monkeypatch.setattr(speed, "EfficientNetLiteEncoder", FrozenNetwork)
    queries, pool = write_set(tmp_path / "set", pool=14)
    train_queries, train_pool = write_set(tmp_path / "train", seed=1)
    common = ["--json", tmp_path / "q.json", "--docs", tmp_path / "docs", "--cache", tmp_path / "cache"]
    common += ["--speed-images", "3", "--speed-rounds", "1", "--show", "1", "--threads", "1"]
    training = ["--train-queries", train_queries, "--train-pool", train_pool]

    def measure(*more, train=True, queries=queries):
        given = ["--queries", queries, "--pool", pool, *common, *(training if train else []), *more]
        status = quality.main([str(value) for value in given])
        captured = capsys.readouterr()
        report = json.loads((tmp_path / "q.json").read_text()) if (tmp_path / "q.json").exists() else {}
        return status, report, captured

    return measure


def test_every_row_has_both_variants_and_its_costs(leaderboard, tmp_path):
    status, report, captured = leaderboard()
    assert status == 0
    assert list(report["rows"]) == [
        "frozen-spoc", "frozen-mac", "frozen-rmac", "frozen-gem", "encoder", "general", "edges",
        "fused-equal", "fused", "fused-tuned", "itq-32",
    ]  # fmt: skip
    for row in report["rows"].values():
        assert row["marks_per_second"] > 0 and row["bytes_per_mark"] > 0
        for variant in ("excluded", "official"):
            found = row["variants"][variant]
            low, high = found["map100_ci"]
            assert 0 <= low <= found["map100"] <= high <= 1
            assert {"nar", "nar_ci", "median_rank", "recall100"} <= set(found)
    assert report["rows"]["general"]["bytes_per_mark"] == 64 * 4
    assert report["rows"]["fused-tuned"]["bytes_per_mark"] == 2 * 64 * 4
    # The fused row has the weights that a register starts with, not equal ones.
    assert report["rows"]["fused"]["weights"] == pytest.approx(
        {**dict.fromkeys(DESCRIPTORS, 0.0), **FirstWeights.shipped().of(["general", "edges"])}
    )
    assert report["rows"]["fused"]["weights"] != report["rows"]["fused-equal"]["weights"]
    assert report["run"]["marks"] == 23
    assert sum(report["rows"]["fused-tuned"]["weights"].values()) == pytest.approx(1)
    assert report["tuning"]["marks"] == 21 and report["tuning"]["best"] >= report["tuning"]["equal"]
    assert report["gain"]["ci"][0] <= report["gain"]["points"] <= report["gain"]["ci"][1]
    assert len([line for line in captured.out.splitlines() if line.startswith(("pass", "FAIL", "not measured"))]) == 4
    assert any("objects" in note and "off" in note for note in report["notes"])


def test_the_pages_are_written_and_can_be_rendered_again(leaderboard, tmp_path):
    _, report, _ = leaderboard()
    page = (tmp_path / "docs" / "quality.md").read_text()
    assert page.count("| fused-tuned |") == 4  # two variants, cost, weights
    assert "transductive" in page
    assert Image.open(tmp_path / "docs" / "quality-queries.png").size[0] > 900
    plot = (tmp_path / "docs" / "quality-bytes.svg").read_text()
    assert plot.count("<circle") == len(report["rows"])
    assert quality.main(["--render", str(tmp_path / "q.json"), "--docs", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "quality.md").read_text() == page
    assert (tmp_path / "again" / "quality-bytes.svg").read_text() == plot


def test_a_second_run_describes_nothing_again(leaderboard, monkeypatch):
    _, first, _ = leaderboard()
    described = []

    class Counting(Describer):
        def describe(self, images):
            described.append(len(images))
            return super().describe(images)

    monkeypatch.setattr(run, "Describer", Counting)
    _, second, _ = leaderboard()
    assert sum(described) == 3 * 3  # what costs are measured on, and the speed: once to warm up, once timed
    for name, row in first["rows"].items():
        assert second["rows"][name]["variants"] == row["variants"]


def test_without_train_nothing_is_tuned_and_without_an_encoder_its_bars_are_open(leaderboard, monkeypatch):
    def missing():
        raise WeightsUnusable("There are no weights.")

    monkeypatch.setattr(run, "EncodedMarks", missing)
    status, report, captured = leaderboard(train=False)
    assert status == 0
    assert "fused-tuned" not in report["rows"] and "encoder" not in report["rows"]
    assert [bar["passed"] for bar in report["bars"]] == [None] * 4
    assert captured.out.count("not measured") == 4
    assert "encoder: not measured. There are no weights." in report["notes"]
    assert "not measured" in to_markdown(report)


def test_a_smaller_pool_and_a_missing_directory(leaderboard, tmp_path):
    assert leaderboard("--limit-pool", "5")[1]["run"]["marks"] == 9 + 5
    status, _, captured = leaderboard(queries=tmp_path / "nowhere")
    assert status == 1 and "does not exist" in captured.err


def test_limits_keep_whole_groups_and_are_the_same_each_time(tmp_path):
    layout = load(*write_set(tmp_path / "set", groups=4, members=3, pool=10))
    small = limited(layout, pool=4, queries=7)
    assert len(small.pool_paths) == 4 and len(small.groups) == 6
    assert all(small.groups.count(group) == 3 for group in small.groups)
    assert small == limited(layout, pool=4, queries=7)
    assert limited(layout, pool=99, queries=99) == layout


def test_average_precision_for_tuning_equals_the_fused_score_with_missing_descriptors():
    rng = np.random.default_rng(0)
    sims = rng.random((40, 3)).astype(np.float32)
    sims[rng.random((40, 3)) < 0.2] = np.nan
    sims[:, 0] = rng.random(40)
    w = np.array([0.2, 0.5, 0.3], np.float32)
    relatives = np.array([2, 30])
    scores = np.delete(fuse(sims, w), 5)
    ranks = sorted(int((scores >= scores[r]).sum()) for r in (2, 29))
    query = Query.of(sims, relatives, own=5)
    assert query.ap(w) == pytest.approx((1 / ranks[0] + 2 / ranks[1]) / 2)
    assert mean_ap([query, query], w.tolist()) == pytest.approx(query.ap(w))


def test_ties_count_against_the_query():
    sims = np.array([[1.0], [0.5], [0.5], [0.5], [0.1]], np.float32)
    assert Query.of(sims, np.array([1]), own=0).ap(np.ones(1, np.float32)) == pytest.approx(1 / 3)


def test_tuning_finds_the_descriptor_that_tells_relatives_apart():
    rng = np.random.default_rng(3)
    queries = []
    for _ in range(12):
        sims = rng.random((30, 3)).astype(np.float32)
        sims[1:4, 2] += 0.3
        queries.append(Query.of(sims, np.array([1, 2, 3]), own=0))
    tried = []
    best, score = tune(queries, [0, 2], tried=lambda: tried.append(1))
    assert best[1] == 0 and best[2] > 0.6 and sum(best) == pytest.approx(1)
    assert score == pytest.approx(mean_ap(queries, best)) and score > mean_ap(queries, [0.5, 0, 0.5])
    assert 4 < len(tried) < 100


def test_first_results_leave_the_query_out_and_cross_chunks():
    first = FirstResults(lambda sims: sims[..., 0], 2)
    first(np.array([[[1.0], [0.2]], [[0.2], [1.0]]], np.float32))
    first(np.array([[[0.1], [0.9], [np.nan]], [[0.3], [0.1], [0.25]]], np.float32))
    assert first.order.tolist() == [[3, 1], [2, 4]]


def test_telling_queries_come_from_different_groups():
    aps = np.array([1.0, 1.0, 0.5, 0.4, 0.0, np.nan])
    shown = telling_queries(aps, ["a", "a", "b", "c", "d", "e"], 1)
    assert shown == {"best": [0], "median": [2], "worst": [4]}


def row(map100, nar=0.1):
    found = {"map100": map100, "nar": nar, "map100_ci": [map100 - 0.05, map100 + 0.05]}
    return {"variants": {"excluded": found}, "bytes_per_mark": 1024}


def test_bars_pass_at_the_bar_and_fail_below_it():
    rows = {"encoder": row(0.70, 0.04), "frozen-mac": row(0.40, 0.1), "fused-tuned": row(0.735)}
    found = bars(rows, 1.01)
    assert [bar["passed"] for bar in found] == [True, True, False, True]
    assert found[0]["value"] == pytest.approx(1.75) and found[2]["value"] == pytest.approx(3.5)
    assert bar_line(found[2]).startswith("FAIL  fused-tuned - encoder, points of mAP@100: 3.500")
    assert [bar["passed"] for bar in bars(rows, 1.2)][3] is False


def test_the_plot_keeps_labels_apart_and_inside():
    plot = draw_bytes({f"row-{i}": row(0.4 + 0.001 * i) for i in range(12)})
    heights = sorted(float(line.split('y="')[1].split('"')[0]) for line in plot.splitlines() if ">row-" in line)
    assert np.diff(heights).min() >= 14.9 and heights[-1] < 440


def test_the_encoders_time_is_compared_at_its_own_size(monkeypatch):
    sides = []

    class Seen(FrozenNetwork):
        def encode(self, images):
            sides.append(images.shape[1])
            return super().encode(images)

    monkeypatch.setattr(speed, "EfficientNetLiteEncoder", Seen)
    made = speed.describing(["frozen-mac", "encoder"], Describer(), Pixels())
    picture = decode_picture(encoded(star()))
    for name in ("frozen-mac", speed.SAME_SIZE):
        made[name]([picture])
    assert sides == [192, 48]


def test_time_is_compared_turn_by_turn():
    took = {"encoder": [1.0, 20.0, 1.1], "frozen-mac": [1.0, 20.0, 1.0]}
    assert speed.ratio(took, "encoder", "frozen-mac") == pytest.approx(1.0)


def test_binary_codes_are_rows_that_cost_no_pass_and_a_missing_head_is_noted(leaderboard):
    _, report, _ = leaderboard()
    row = report["rows"]["itq-32"]
    assert (row["dimension"], row["bytes_per_mark"]) == ("16 bits", 2)
    assert row["variants"]["excluded"]["map100"] > 0.5
    assert row["marks_per_second"] == report["rows"]["general"]["marks_per_second"]
    assert "hash-000-64" not in report["rows"]
    assert any(note.startswith("hash-000-64: not measured.") for note in report["notes"])
