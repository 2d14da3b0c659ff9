"""What the pages of docs say is what their runs' JSON says, and every page names the command that made it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.hash_page import render
from benchmarks.quality import write_pages

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
COMMAND = re.compile(r"benchmarks/(\w+)\.py|make (bench[\w-]*)|manage\.py (\w+)")


def kept(name: str) -> Any:
    return json.loads((DOCS / f"{name}.json").read_text("utf-8"))


def said(page: Path = DOCS / "figures.md") -> str:
    """The words of a page on one line, as it reads."""
    return " ".join(page.read_text("utf-8").split())


def test_the_leaderboards_page_and_plot_are_those_of_its_json(tmp_path: Path) -> None:
    (tmp_path / "quality-licences.md").touch()
    write_pages(kept("quality"), tmp_path)
    for name in ("quality.md", "quality-bytes.svg"):
        assert (DOCS / name).read_text("utf-8") == (tmp_path / name).read_text("utf-8"), name


def test_the_tables_of_binary_codes_are_those_of_their_json(tmp_path: Path) -> None:
    page = tmp_path / "hashing.md"
    blank = re.sub(
        r"(<!-- (\w+) -->\n).*?(<!-- /\2 -->)", r"\1\3", (DOCS / "hashing.md").read_text("utf-8"), flags=re.S
    )
    page.write_text(blank, "utf-8")
    render(kept("hashing"), page)
    assert page.read_text("utf-8") == (DOCS / "hashing.md").read_text("utf-8") != blank
    codes = kept("hashing")["codes"]
    assert f"{codes['queries']:,} queries of `val` in {codes['groups']} groups among {codes['marks']:,} marks" in said(
        page
    )


def test_the_leaderboard_in_words_is_that_of_the_json() -> None:
    report = kept("quality")
    run, rows = report["run"], {name: row["variants"]["excluded"] for name, row in report["rows"].items()}

    def figures(row: str) -> str:
        return f"{100 * rows[row]['map100']:.1f} mAP@100 and NAR {rows[row]['nar']:.3f}"

    text = said()
    assert f"{run['queries']:,} queries in {run['groups']} families of `final`, {run['marks']:,} marks" in text
    assert f"the shipped encoder alone {figures('encoder')}" in text
    assert f"the frozen baseline (MAC, whitened) {figures('frozen-mac')}" in text
    assert f"fused with weights tuned on `train` families {figures('fused-tuned')}" in text
    if "fused" in rows:
        assert f"fused with the weights that a register starts with {figures('fused')}" in text
    else:
        assert "The weights that a register starts with were not among its rows" in text
    bar = next(bar for bar in report["bars"] if "time to describe" in bar["what"])
    sides = "at the same size" if "at the same size" in bar["what"] else "at 192"
    assert f"{bar['value']:.2f} of the frozen network's time {sides}" in text


def test_the_table_of_the_demonstration_set_is_that_of_the_json() -> None:
    found = kept("evaluate")
    text = said()
    facts = f"{found['queries']} queries in {found['groups']} families, {found['marks']:,} marks"
    assert facts in text
    for row, title in (("fused", "fused, first weights"), ("general", "general: the encoder alone"),
                       ("edges", "edges"), ("objects", "objects"), ("semantic", "semantic")):  # fmt: skip
        out, official = (found["descriptors"][row][variant] for variant in ("excluded", "official"))
        low, high = (100 * bound for bound in out["map100_ci"])
        assert (
            f"| {title} | {100 * out['map100']:.1f} [{low:.1f}, {high:.1f}] | {out['nar']:.3f} "
            f"| {out['median_rank']:.0f} | {100 * out['recall100']:.1f} | {100 * official['map100']:.1f} |"
        ) in text, row


def test_the_figures_of_words_are_those_of_their_json() -> None:
    words, vienna = kept("concepts")["words"], kept("concepts")["vienna"]
    text = said()
    for sentence in (
        f"({words['words']} words, {words['marks']:,} marks, `benchmarks/concepts.py`)",
        f"recall@10 {words['head']['recall10']} %, mAP {words['head']['map']:.1f} %, "
        f"chance {words['chance']['recall10']} and {words['chance']['map']} %",
        f"suggested Vienna codes of {vienna['marks']} plain marks",
        f"the right category among the first three {vienna['category@3']} %, "
        f"the right division {vienna['division@3']:.1f} %, "
        f"chance {vienna['chance']['category@3']} and {vienna['chance']['division@3']} %",
    ):
        assert sentence in text, sentence


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_every_page_names_a_command_that_exists(page: Path) -> None:
    named = COMMAND.findall(page.read_text("utf-8"))
    assert named, f"{page.name} does not say which command made it"
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = {path.stem for path in ROOT.glob("*/management/commands/*.py")} | {
        "migrate",
        "test",
        "check",
        "createsuperuser",
    }
    for script, target, command in named:
        assert not script or (ROOT / "benchmarks" / f"{script}.py").is_file(), script
        assert not target or re.search(rf"^{target}:", makefile, re.M), target
        assert not command or command in commands, command


def test_everything_that_was_measured_names_its_command() -> None:
    """Each paragraph and each table of figures.md that has figures: itself, or the paragraph that leads to it."""
    section = (DOCS / "figures.md").read_text("utf-8").partition("\n")[2]
    blocks = re.split(r"\n\n+", section.strip())
    pairs = zip(["", *blocks], blocks, strict=False)
    with_figures = [(before, block) for before, block in pairs if re.search(r"\d", block)]
    assert len(with_figures) > 5
    for before, block in with_figures:
        leads = before if block.startswith("|") else ""
        assert COMMAND.search(block) or COMMAND.search(leads), block
    assert not re.search(r"^\|.*\*", section, re.MULTILINE), "a figure of another release has no place in the table"


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.split()) <= 1000
    for page in (ROOT / "README.md", *DOCS.glob("*.md")):
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"
