"""The METU layout as it is published, and a sentence for everything that is not it."""

import pytest

from tuning.evaluation.metu import LayoutError, load


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_names_give_instance_and_group_in_numeric_order(tmp_path):
    q = touch(tmp_path / "queries", "2-10.jpg", "1-10.jpg", "10-2.jpg", "9-2.JPG", "1-3.webp")
    layout = load(q, touch(tmp_path / "pool", "a.jpg"))
    assert [p.name for p in layout.query_paths] == ["9-2.JPG", "10-2.jpg", "1-3.webp", "1-10.jpg", "2-10.jpg"]
    assert layout.groups == ("2", "2", "3", "10", "10")


def test_the_pool_is_walked_and_hidden_and_other_files_are_passed_over(tmp_path):
    q = touch(tmp_path / "queries", "1-1.jpg", "2-1.jpg", "Thumbs.db", "._1-1.jpg", ".DS_Store")
    p = touch(tmp_path / "pool", "b/2.png", "a/1.jpeg", "c.gif", "d.bmp", "list.txt", ".hidden/x.jpg")
    layout = load(q, p)
    assert [str(path.relative_to(p)) for path in layout.pool_paths] == [
        "c.gif",
        "d.bmp",
        "a/1.jpeg",
        "b/2.png",
    ]


def test_queries_inside_the_pool_directory_are_not_counted_twice(tmp_path):
    q = touch(tmp_path / "set" / "queries", "1-1.jpg", "2-1.jpg")
    touch(tmp_path / "set", "pool.jpg")
    assert [p.name for p in load(q, tmp_path / "set").pool_paths] == ["pool.jpg"]


@pytest.mark.parametrize("file", ["logo_content_types.txt", "METU_logo_type_info.csv"])
def test_content_types_are_read_in_both_published_forms(tmp_path, file):
    q = touch(tmp_path / "queries", "1-1.jpg", "2-1.jpg")
    p = touch(tmp_path / "pool", "10.jpg")
    gap = " " if file.endswith("txt") else "\t"
    lines = ["<header>", f"queries/1-1.jpg{gap}SHAPE", f"data/pool/10.jpg{gap}TEXT-SHAPE", ""]
    (tmp_path / file).write_text("\n".join(lines))
    layout = load(q, p)
    assert layout.types == {"queries/1-1.jpg": "SHAPE", "pool/10.jpg": "TEXT-SHAPE"}
    assert [layout.query_type(i) for i in range(2)] == ["SHAPE", None]


@pytest.mark.parametrize(
    ("queries", "pool", "words"),
    [
        (None, ["a.jpg"], "queries directory .* does not exist"),
        (["1-1.jpg"], None, "pool directory .* does not exist"),
        ([".keep"], ["a.jpg"], "no images in the queries directory"),
        (["1-1.jpg"], [".keep"], "no images in the pool directory"),
        (["1-1.jpg", "logo.jpg"], ["a.jpg"], "logo.jpg is not named <instance>-<group>"),
        (["1-1-1.jpg"], ["a.jpg"], "not named"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(tmp_path, queries, pool, words):
    for name, files in (("queries", queries), ("pool", pool)):
        if files is not None:
            touch(tmp_path / name, *files)
    with pytest.raises(LayoutError, match=words) as error:
        load(tmp_path / "queries", tmp_path / "pool")
    assert str(error.value).endswith(".")


def test_one_directory_cannot_be_both(tmp_path):
    touch(tmp_path / "q", "1-1.jpg")
    with pytest.raises(LayoutError, match="same directory"):
        load(tmp_path / "q", tmp_path / "q")
