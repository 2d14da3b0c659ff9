"""Groups fall into fit, validate and test: disjoint, complete, the same everywhere."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuning.evaluation.metu import LayoutError, MetuLayout
from tuning.evaluation.splits import split_groups


def layout(groups, root=Path("nowhere")):
    names = tuple(str(g) for g in groups)
    return MetuLayout(root / "queries", root / "pool", tuple(Path(f"1-{g}.jpg") for g in names), names, (Path("p"),))


@settings(deadline=None)
@given(st.sets(st.integers(1, 500), min_size=3, max_size=80), st.integers(0, 5))
def test_splits_are_disjoint_complete_and_never_empty(groups, seed):
    found = split_groups(layout(groups), seed=seed)
    parts = [found[name] for name in ("fit", "validate", "test")]
    assert sum(len(p) for p in parts) == len(groups)
    assert frozenset().union(*parts) == {str(g) for g in groups}
    assert all(parts)
    assert found == split_groups(layout(sorted(groups, reverse=True)), seed=seed)


def test_the_deal_is_fixed_and_near_its_shares():
    found = split_groups(layout(range(1, 101)))
    assert [len(found[n]) for n in ("fit", "validate", "test")] == [40, 30, 30]
    assert sorted(found["test"], key=int)[:3] == sorted(split_groups(layout(range(1, 101)))["test"], key=int)[:3]
    assert found != split_groups(layout(range(1, 101)), seed=1)


def test_a_file_beside_the_queries_decides(tmp_path):
    (tmp_path / "splits.json").write_text(json.dumps({"fit": [1, 2], "validate": ["3"], "test": [4, 99]}))
    found = split_groups(layout([1, 2, 3, 4], tmp_path))
    assert found == {"fit": {"1", "2"}, "validate": {"3"}, "test": {"4"}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "not readable"),
        ('{"fit": [1, 2]}', "not readable"),
        ('{"fit": [1, 2], "validate": [2], "test": [3]}', "group 2 more than once"),
        ('{"fit": [1], "validate": [2], "test": []}', "leaves out group 3"),
    ],
)
def test_a_wrong_file_is_refused_with_a_sentence(tmp_path, text, words):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(LayoutError, match=words):
        split_groups(layout([1, 2, 3]), path=path)


def test_a_file_that_was_named_must_exist(tmp_path):
    with pytest.raises(LayoutError, match="does not exist"):
        split_groups(layout([1, 2, 3]), path=tmp_path / "none.json")
