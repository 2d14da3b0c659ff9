"""Which kinds of copies the portal finds: marks of a register changed in one way each, and looked for again.

    python benchmarks/kinds.py --val DIR [--marks 150] [--docs docs]

DIR as made by benchmarks/build_families.py. Every mark of the pool is in the register; a sample of them is drawn anew,
outlined, boxed, put beside a word, ..., and searched for with the first weights that ship. Writes docs/kinds.json,
docs/kinds.md and a contact sheet; --render writes the page again.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.fit_descriptors import Marks, described  # noqa: E402
from benchmarks.iconify.fonts import draw_words, open_fonts  # noqa: E402
from search.retrieval.calibration import Calibration  # noqa: E402
from search.retrieval.crowding import cut_shift  # noqa: E402
from search.retrieval.describe import Describer  # noqa: E402
from search.retrieval.descriptors import DESCRIPTORS  # noqa: E402
from search.retrieval.first_weights import FirstWeights  # noqa: E402
from search.retrieval.fusion import fuse  # noqa: E402
from search.retrieval.imaging import Picture, decode_picture  # noqa: E402
from search.retrieval.normalise import normalise, resized  # noqa: E402
from search.retrieval.similarity import table_similarities  # noqa: E402
from search.training import augment, scanning, surroundings  # noqa: E402
from search.training.surroundings import Grey, Material  # noqa: E402

SIDE = 192
PAGE = 24
Change = Callable[[Grey, np.random.Generator], Grey]


def kinds(material: Material) -> dict[str, Change]:
    """Name -> what is done to a mark."""
    return {
        "outlined": augment.outline,
        "bolder or thinner": augment.strokes,
        "redrawn by hand": augment.bend,
        "recoloured": augment.recolour,
        "boxed, reversed": surroundings.reverse_in_shape,
        "framed": surroundings.frame,
        "with a word": partial(_with_word, material=material, long=False),
        "inside a longer mark": partial(_with_word, material=material, long=True),
        "beside another device": partial(surroundings.add_device, material=material),
        "turned by up to 90 degrees": augment.turn,
        "mirrored": augment.mirror,
        "cropped": augment.cut_off,
        "photographed": scanning.photograph,
    }


def _with_word(grey: Grey, rng: np.random.Generator, *, material: Material, long: bool) -> Grey:
    """A word beside or below; `long`: two and a half times as wide as the mark or more."""
    while True:
        joined = surroundings.add_word(grey, rng, material)
        share = max(joined.shape) / len(grey)
        if (share >= _LONG) == long:
            return joined


_LONG = 2.5


@dataclass(frozen=True)
class Found:
    """ranks: place of the mark that was changed, 1 is first, per kind (k, n). selected: whether it reached the cut."""

    kinds: Sequence[str]
    ranks: NDArray[np.int64]
    selected: NDArray[np.bool_]

    def rows(self) -> list[dict[str, Any]]:
        """Shares in percent for each kind."""
        return [
            {
                "kind": kind,
                "first": _percent(ranks == 1),
                "page": _percent(ranks <= PAGE),
                "selected": _percent(selected),
                "median": float(np.median(ranks)),
            }
            for kind, ranks, selected in zip(self.kinds, self.ranks, self.selected, strict=True)
        ]


def _percent(flags: NDArray[np.bool_]) -> float:
    return round(100 * float(flags.mean()), 1)


def look_for(
    pictures: Sequence[Picture], rows: Sequence[int], table: Any, describer: Describer
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rank of each row of the table for the picture made of it, and whether it is pre-selected."""
    weights = FirstWeights.shipped()
    calibration = Calibration.shipped()
    w = np.array(list(weights.of(DESCRIPTORS).values()))
    ranks, selected = [], []
    for at in range(0, len(pictures), 8):
        asked = describer.describe(list(pictures[at : at + 8]))
        for sims, row in zip(calibration.apply(table_similarities(asked, table)), rows[at : at + 8], strict=True):
            scores = np.nan_to_num(fuse(sims, w), nan=-1.0)
            ranks.append(1 + int((scores > scores[row]).sum()))
            selected.append(bool(scores[row] >= weights.threshold + cut_shift(sims)))
    return np.array(ranks), np.array(selected)


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, list[tuple[Path, Grey, int]]]]:
    """The report, and for the contact sheet of each kind one that was found first and the one that was missed most."""
    marks = Marks.load(options.val, "val", options.pool)
    describer = Describer()
    options.cache.mkdir(parents=True, exist_ok=True)
    table = described(marks, describer, options.cache)
    rng = np.random.default_rng(0)
    first = len(marks.groups)
    rows = np.sort(rng.choice(np.arange(first, len(marks.paths)), options.marks, replace=False))
    grey = [_grey(marks.paths[row]) for row in rows]
    others = np.stack([_grey(marks.paths[row]) for row in rng.integers(first, len(marks.paths), 60)])
    words = draw_words(_NAMES, open_fonts(ROOT / "build"), 200, rng)
    ranks, selected, shown = [], [], {}
    todo = kinds(Material(words, others))
    for kind, change in tqdm(todo.items(), unit="kind"):
        changed = [
            _drawn(mark, change, np.random.default_rng((7, int(row)))) for mark, row in zip(grey, rows, strict=True)
        ]
        pictures = [decode_picture(_png(one)) for one in changed]
        found, cut = look_for(pictures, rows.tolist(), table, describer)
        ranks.append(found)
        selected.append(cut)
        order = np.argsort(found, kind="stable")
        shown[kind] = [(marks.paths[rows[i]], changed[i], int(found[i])) for i in (order[0], order[-2], order[-1])]
    result = Found(list(todo), np.stack(ranks), np.stack(selected))
    report = {"marks": len(marks.paths), "changed": len(rows), "describer": describer.version, "rows": result.rows()}
    return report, shown


_NAMES = (
    "aurora",
    "benton",
    "calyx",
    "dorado",
    "elmwood",
    "farrow",
    "gentian",
    "halcyon",
    "indigo",
    "juniper",
    "lumen",
)
"""Invented names for the words that are put beside a mark."""


def _grey(path: Path) -> Grey:
    return resized(normalise(decode_picture(path.read_bytes())).grey, SIDE)[:, :, 0]


def _drawn(mark: Grey, change: Change, rng: np.random.Generator) -> Grey:
    """Changed, on white with a margin, as somebody would upload it."""
    changed = change(mark, rng)
    margin = max(changed.shape) // 16
    return np.pad(changed, margin, constant_values=255)


def _png(grey: Grey) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(grey).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def page(report: Mapping[str, Any]) -> str:
    """docs/kinds.md."""
    lines = [
        "# Kinds of copies",
        "",
        f"Made by `benchmarks/kinds.py`: {report['changed']} marks of a register of {report['marks']:,} (`val`), each",
        "changed in one way and looked for with the first weights that ship. First: the mark that was changed comes",
        "first. First page: it is among the first 24. Pre-selected: it reaches the cut of that search. The changes are",
        "those that the encoder learnt from, on marks that it has not seen. The picture has for each kind one that was",
        "found and the two that were missed most. The register holds other packs' drawings of some of these brands,",
        "which may well come before the one that was changed; so the first page says more than the first place.",
        "",
        "| kind of change | first % | first page % | pre-selected % | median rank |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['kind']} | {row['first']} | {row['page']} | {row['selected']} | {row['median']:g} |"
        for row in report["rows"]
    ]
    lines += ["", "![Of each kind the one that was found best, and two that were missed most](kinds.png)", ""]
    lines += ["[Whose drawings are shown](quality-licences.md)"]
    return "\n".join(lines) + "\n"


def draw(shown: Mapping[str, Sequence[tuple[Path, Grey, int]]], path: Path) -> None:
    """One line for each kind: mark and changed mark, with the rank, three times."""
    cell, label = 92, 190
    sheet = Image.new("RGB", (label + 6 * cell + 60, 24 + len(shown) * (cell + 22)), "white")
    pen = ImageDraw.Draw(sheet)
    for line, (kind, examples) in enumerate(shown.items()):
        top = 12 + line * (cell + 22)
        pen.text((10, top + cell // 2 - 8), kind, fill="#1d2430", font=ImageFont.load_default(14))
        for column, (mark, changed, rank) in enumerate(examples):
            left = label + column * (2 * cell + 20)
            for place, picture in enumerate((Image.open(mark).convert("RGB"), Image.fromarray(changed).convert("RGB"))):
                picture.thumbnail((cell - 8, cell - 8))
                sheet.paste(
                    picture, (left + place * cell + (cell - picture.width) // 2, top + (cell - picture.height) // 2)
                )
            words = f"rank {rank}"
            pen.text(
                (left + cell - 22, top + cell),
                words,
                fill="#1a8f4c" if rank == 1 else "#b42318",
                font=ImageFont.load_default(12),
            )
    sheet.quantize(64).save(path, optimize=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure or render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--val", type=Path, default=ROOT / "build" / "val")
    parser.add_argument("--pool", type=int, default=4000, help="marks of the pool in the register")
    parser.add_argument("--marks", type=int, default=150, help="marks that are changed")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "fit")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--render", action="store_true", help="only write the page again from its JSON")
    options = parser.parse_args(argv)
    file = options.docs / "kinds.json"
    if not options.render:
        report, shown = measure(options)
        file.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
        draw(shown, options.docs / "kinds.png")
    (options.docs / "kinds.md").write_text(page(json.loads(file.read_text("utf-8"))), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
