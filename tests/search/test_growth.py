"""The register grows: resumable, tolerant of bad lines, and never half visible."""

import csv
from pathlib import Path
from typing import Any

import pytest

from search.errors import Refused, Unavailable
from search.growth import ingest, read_rows
from search.models import LivePointer, Mark, ParameterSetEvent
from search.retrieval.first_weights import FirstWeights
from search.retrieval.imaging import decode_picture
from search.retrieval.records import Filters
from search.selectors import live_parameters
from search.snapshots import snapshot_publish
from tests import pictures


def write_csv(folder: Path, lines: list[dict[str, str]]) -> Path:
    path = folder / "marks.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, sorted({name for line in lines for name in line}))
        writer.writeheader()
        writer.writerows(lines)
    return path


def test_bad_lines_are_named_and_the_others_read(tmp_path: Path) -> None:
    file = write_csv(
        tmp_path,
        [
            {
                "number": "1",
                "name": "a",
                "image": "a.png",
                "nice_classes": "9; 25",
                "filing_date": "2020-01-02",
            },
            {"number": "", "name": "b", "image": "b.png"},
            {"number": "3", "name": "c", "image": "../../etc/passwd"},
            {"number": "4", "name": "d", "image": "d.png", "nice_classes": "46"},
            {"number": "5", "name": "e", "image": "e.png", "filing_date": "02/01/2020"},
            {"number": "1", "name": "again", "image": "f.png"},
        ],
    )
    rows, problems = read_rows(tmp_path, file)
    assert [row.number for row in rows] == ["1"] and rows[0].nice_classes == (9, 25)
    assert [problem.split(":")[0] for problem in problems] == [
        "Line 3",
        "Line 4",
        "Line 5",
        "Line 6",
        "Line 7",
    ]
    assert "outside" in problems[1] and "46" in problems[2] and "date" in problems[3] and "twice" in problems[4]


@pytest.mark.parametrize("content", [b"number;name\n", b"\xff\xfe\x00bad", b""])
def test_a_file_that_is_no_such_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(Refused):
        read_rows(tmp_path, tmp_path / "x.csv")


def test_ingest_is_resumable_and_repeating_it_changes_nothing(register: Any, marks_folder: Path) -> None:
    rows, _ = read_rows(marks_folder, marks_folder / "marks.csv")
    again = ingest(rows)
    assert (again.added, again.changed, again.unchanged, again.described, again.snapshot) == (
        0,
        0,
        40,
        0,
        None,
    )
    Mark.objects.filter(number="T/007").delete()  # as after a kill: described, but its row is missing
    resumed = ingest(rows)
    assert (resumed.added, resumed.unchanged, resumed.described) == (1, 39, 0)


def test_a_new_mark_is_found_after_its_ingest_and_clusters_stay(register: Any, tmp_path: Path) -> None:
    before = register.searcher().snapshot
    pictures.mark(900).save(tmp_path / "new.png")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    images = {"N1": "new.png", "N2": "broken.png", "N3": "missing.png"}
    file = write_csv(tmp_path, [{"number": number, "name": "x", "image": image} for number, image in images.items()])
    rows, _ = read_rows(tmp_path, file)
    report = ingest(rows)
    assert report.added == 1 and len(report.problems) == 2 and all(p.startswith("Mark N") for p in report.problems)
    after = register.searcher().snapshot  # picked up without a restart
    assert after.id == report.snapshot != before.id and after.count == before.count + 1
    assert after.clusters.version == before.clusters.version


def test_the_first_snapshot_brings_the_shipped_weights_live(register: Any) -> None:
    live = LivePointer.objects.get().parameter_set.unpack()
    first = FirstWeights.shipped()
    # A JSON column need not keep the order of its keys.
    assert live.default.weights == first.of(register.describer.names)
    assert set(live.names) == set(register.describer.names)
    assert live.default.threshold == first.threshold
    assert live.descriptors_version == register.describer.version
    assert ParameterSetEvent.objects.get().kind == "live"


def test_publishing_again_keeps_the_live_parameters(register: Any) -> None:
    live = LivePointer.objects.get().parameter_set_id
    snapshot_publish()
    assert LivePointer.objects.get().parameter_set_id == live


def test_an_empty_register_cannot_be_published(db: Any, settings: Any, tmp_path: Path) -> None:
    settings.TM_DATA_DIR = tmp_path
    with pytest.raises(Refused, match="ingest"):
        snapshot_publish()


def test_a_correction_by_an_administrator_reaches_the_filters_with_the_next_snapshot(
    register: Any, client: Any, administrator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search import tasks
    from search.retrieval.records import Filters

    monkeypatch.setattr(tasks.publish_snapshot, "apply_async", lambda *_, **__: tasks.publish_snapshot())
    administrator.is_superuser = administrator.is_staff = True
    administrator.save()
    client.force_login(administrator)
    mark = Mark.objects.get(number="T/004")
    mark.jurisdiction = "ZZ"
    mark.save()
    done = client.post("/admin/search/mark/", {"action": "publish", "_selected_action": [mark.pk]}, follow=True)
    assert b"new snapshot" in done.content
    searcher = register.searcher()
    description = register.describe_one(decode_picture(pictures.encoded(pictures.mark(4))))
    live = LivePointer.objects.get().parameter_set.unpack()
    hits = searcher.search(description, live, filters=Filters(jurisdictions=("ZZ",))).hits
    assert [hit.number for hit in hits] == ["T/004"]


def test_the_settings_choose_how_the_next_snapshot_finds_candidates(register: Any, settings: Any) -> None:
    query = (settings.BASE_DIR / "search" / "demo" / "pool" / "logos--q.webp").read_bytes()
    live = live_parameters()
    assert live is not None

    def first() -> tuple[list[str], dict[str, str]]:
        answer, snapshot = register.search(query, live, filters=Filters(), depth="register", candidates=40, top=40)
        return [hit.number for hit in answer.hits], snapshot.manifest["candidates"]

    linear, stage = first()
    assert stage == {"stage": "linear"}
    try:
        settings.TM_CANDIDATE_STAGE, settings.TM_HASH = "hamming", "itq-64"
        assert first()[1] == {"stage": "linear"}, "only a new snapshot changes how searches go"
        snapshot_publish()
        coded, stage = first()
        assert stage["stage"] == "hamming" and stage["hash"] == "itq-64"
        assert coded == linear, "with every mark a candidate the answer is the exact stage's"
        settings.TM_HASH = "itq-63"
        with pytest.raises(Unavailable, match="known are itq-32"):
            snapshot_publish()
        assert first()[1]["stage"] == "hamming"
    finally:
        settings.TM_CANDIDATE_STAGE = "linear"
        snapshot_publish()
    assert first() == (linear, {"stage": "linear"})
