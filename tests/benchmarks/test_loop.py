"""The loop benchmark: its page and plots, its arguments, and one tiny campaign from images to JSON."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import loop
from benchmarks.loop_page import draw_curves, to_markdown
from tests import pictures
from tests.tuning.simulation.worlds import small_world
from tuning.simulate import Scenario, simulate
from tuning.simulation.campaign import Task, ceiling_of, curves, summarise
from tuning.simulation.years import kept_year, year_key

WORLD = small_world()


@pytest.fixture(scope="module")
def years() -> list:
    ceiling = ceiling_of(WORLD, 0)
    tasks = [Task(arm, Scenario("worst-weights", weeks=2, searches=40), "worst-weights") for arm in ("static", "grid")]
    tasks.append(Task("ours", Scenario("equal", "inert", 2, 40), "equal, inert examiners"))
    return [(task, simulate(WORLD, task.arm, task.scenario, ceiling=ceiling)) for task in tasks]


def report_of(years: list) -> dict:
    world = {"queries": 9, "groups": 3, "marks": 90, "clusters": 3, "descriptors": ["a"]}
    return {"arms": summarise(years), "curves": curves(years), "world": world, "command": "python x", "seeds": 1,
            "made": "2026-11-25T14:38:05+00:00", "release": loop.release(), "data": "q among p",
            "side_seeds": 1, "side_weeks": 1, "weeks": 2, "searches": 40}  # fmt: skip


def test_the_page_has_a_table_for_each_start_and_the_plots_can_be_read(years: list) -> None:
    report = report_of(years)
    page = to_markdown(report)
    assert f"Made on 2026-11-25 with release {loop.release()} by `python x`, on q among p." in page
    assert "## Start: worst-weights" in page and "never changes" in page and "| inert examiners |" in page
    assert "](../tmportal/static/loop/worst-weights-map100.svg)" in page
    drawn = draw_curves(report["curves"])
    assert set(drawn) == {"worst-weights-map100", "worst-weights-f1"}
    for picture in drawn.values():
        words = [e.text for e in ElementTree.fromstring(picture).iter() if e.tag.endswith("text")]
        assert {"static", "grid", "ceiling", "week"} <= set(words)


def test_a_year_that_is_done_is_not_simulated_again(years: list, tmp_path: Path) -> None:
    for task, year in years:
        assert kept_year(tmp_path, task) is None
        kept_year(tmp_path, task, year)
        again = kept_year(tmp_path, task)
        assert again == year and again.parameters == year.parameters and again.summary() == year.summary()
    assert year_key(WORLD) == year_key(WORLD) != year_key(small_world().__class__(**{**vars_of(), "version": "other"}))
    for damaged in (b"half", b"\xff\xfe", b"[]", b'{"arm": "ours"}', b"null"):
        for path in tmp_path.iterdir():
            path.write_bytes(damaged)
        assert [kept_year(tmp_path, task) for task, _ in years] == [None] * len(years)


def test_a_pickle_of_an_earlier_release_is_never_opened(years: list, tmp_path: Path) -> None:
    """What it names would be run when it is read."""
    task, year = years[0]
    kept_year(tmp_path, task, year)
    (kept,) = tmp_path.iterdir()
    ran = tmp_path / "ran"
    kept.with_suffix(".pickle").write_bytes(f"cos\nmkdir\n(V{ran}\ntR.".encode())
    kept.unlink()
    assert kept_year(tmp_path, task) is None and not ran.exists()


def vars_of() -> dict:
    return {name: getattr(WORLD, name) for name in ("names", "queries", "marks", "clusters", "version")}


def test_queries_and_pool_belong_together(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        loop.arguments(["--queries", "somewhere"])
    assert "belong together" in capsys.readouterr().err
    assert loop.arguments(["--quick", "--json"]).seeds == 3


@pytest.mark.parametrize("where", [["--json"], ["--json", "figures.json"], ["--json=figures.json"]])
def test_the_command_on_the_page_does_not_tell_where_the_json_went(where: list[str]) -> None:
    assert loop.arguments(["--seeds", "2", *where, "--docs"]).command == "--seeds 2 --docs"


def test_missing_directories_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = ["--queries", str(tmp_path / "no"), "--pool", str(tmp_path / "no2")]
    assert loop.main([*missing, "--cache", str(tmp_path)]) == 1
    assert "does not exist" in capsys.readouterr().err


def metu_layout(folder: Path) -> list[str]:
    for part in ("queries", "pool"):
        (folder / part).mkdir()
    for group in range(6):
        for instance in range(1, 4):
            pictures.mark(group).resize((90 + 10 * instance, 100)).save(folder / "queries" / f"{instance}-{group}.png")
    for seed in range(20, 34):
        pictures.mark(seed).save(folder / "pool" / f"{seed}.png")
    return ["--queries", str(folder / "queries"), "--pool", str(folder / "pool")]


def test_from_a_directory_of_images_to_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = metu_layout(tmp_path)
    monkeypatch.setattr(
        loop,
        "campaign",
        lambda seeds, **more: [Task("ours", Scenario(seed=s, weeks=1, searches=30), "equal") for s in seeds],
    )
    assert loop.main([*asked, "--seeds", "2", "--cache", str(tmp_path / "cache"), "--jobs", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    figures = found["arms"]["ours"]["equal"]
    assert {"gap_closed_map", "gap_closed_f1", "worst_drop_points", "weeks_to_80", "promotions", "rollbacks"} <= set(
        figures
    )
    assert figures["seeds"] == 2 and found["world"]["marks"] == 32 and found["seconds"]["years_simulated"] == 2
    age = datetime.now(UTC) - datetime.fromisoformat(found["made"])
    assert timedelta() <= age < timedelta(minutes=10) and "commit" in found["release"]
    assert found["data"] == "queries among pool", "where it lay is nobody's business"
