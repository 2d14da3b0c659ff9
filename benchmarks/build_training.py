"""Build the training data of the encoder from `@iconify/json`: real marks and the families they form.

    python benchmarks/build_training.py --out build/training [--package TARBALL_OR_DIR] [--variants N] ...

Only the `train` split: the families of `families.json` -> train; brands that several packs draw; single drawings
that a pack offers outlined, filled, boxed or thin; subjects that several packs draw; and marks alone. Nothing of
the `val` families, of the pool of `val`, of the reserved marks and packs is read. Stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.iconify import (  # noqa: E402
    RECIPE_VERSION,
    WITHHELD_PACKS,
    PackageError,
    load_families,
    load_reserved,
    open_package,
    pool_candidates,
    render_mark,
    svg_document,
)
from benchmarks.iconify.select import brands_kept_out  # noqa: E402
from benchmarks.iconify.training_marks import ALONE_MARKS, CONCEPTS, VARIANTS, Chosen, choose  # noqa: E402
from search.retrieval.normalise import normalise, resized  # noqa: E402
from search.training.dataset import ALONE, MARKS, write_index  # noqa: E402


def _draw(job: tuple[int, str, int]) -> tuple[int, np.ndarray | None]:
    row, svg, side = job
    picture = render_mark(svg, 256)
    if picture is None:
        return row, None
    mark = normalise(np.asarray(picture))
    return row, None if mark.blank else resized(mark.grey, side)[:, :, 0]


def build(args: argparse.Namespace) -> dict[str, int]:
    """Draw everything that is not drawn yet; returns counts by kind."""
    splits, reserved = load_families(), load_reserved()
    package = open_package(args.package, cache=ROOT / "build")
    packs = {pack.prefix: pack for pack in package.packs(without=WITHHELD_PACKS)}
    pool = pool_candidates(
        list(packs.values()), split="train", kept_out=brands_kept_out(splits.values(), reserved), reserved=reserved
    )
    chosen = choose(
        splits["train"].groups.values(), pool, variants=args.variants, concepts=args.concepts, alone=args.alone
    )
    if any(one.member in reserved or one.member[0] in WITHHELD_PACKS for one in chosen):
        raise PackageError("The families name marks that are reserved.")
    args.out.mkdir(parents=True, exist_ok=True)
    identity = {"package": package.version, "recipe": RECIPE_VERSION, "side": args.side, "marks": len(chosen)}
    identity["chosen"] = hashlib.sha256(repr(chosen).encode()).hexdigest()
    grey, drawn = _open(args.out, identity, len(chosen), args.side)
    todo = [
        (row, svg_document(packs[one.member[0]], one.member[1], 256), args.side)
        for row, one in enumerate(chosen)
        if not drawn[row]
    ]
    with multiprocessing.Pool(args.jobs) as workers:
        for row, picture in tqdm(workers.imap(_draw, todo, chunksize=16), total=len(todo), unit="mark", desc="draw"):
            if picture is not None:
                grey[row] = picture
            drawn[row] = 1 if picture is not None else 2
    licences = {prefix: pack.licence for prefix, pack in packs.items()}
    return write_chosen(args.out, chosen, grey, drawn, identity, licences)


def _open(out: Path, identity: dict[str, object], count: int, side: int) -> tuple[np.memmap, np.memmap]:
    """The pictures and a flag for each (0 not drawn, 1 drawn, 2 shows nothing), of an earlier run where it fits."""
    note = out / "building.json"
    same = note.is_file() and json.loads(note.read_text("utf-8")) == identity
    mode = "r+" if same else "w+"
    grey = np.lib.format.open_memmap(out / "building.npy", mode=mode, dtype=np.uint8, shape=(count, side, side))
    drawn = np.lib.format.open_memmap(out / "drawn.npy", mode=mode, dtype=np.uint8, shape=(count,))
    note.write_text(json.dumps(identity), "utf-8")
    return grey, drawn


def write_chosen(
    out: Path,
    chosen: Sequence[Chosen],
    grey: np.ndarray,
    drawn: np.ndarray,
    identity: dict[str, object],
    licences: Mapping[str, str],
) -> dict[str, int]:
    """Keep one of equal pictures of a family, and write the data under its final names."""
    numbers: dict[str, int] = {"": ALONE}
    seen: set[tuple[int, bytes]] = set()
    keep, families = [], []
    for row, one in enumerate(chosen):
        family = numbers.setdefault(one.family, len(numbers) - 1)
        print_ = (family, hashlib.sha256(grey[row].tobytes()).digest())
        if drawn[row] != 1 or print_ in seen:
            continue
        seen.add(print_)
        keep.append(row)
        families.append(family)
    final = np.lib.format.open_memmap(
        out / f"{MARKS}.tmp.npy", mode="w+", dtype=np.uint8, shape=(len(keep), *grey.shape[1:])
    )
    for at in range(0, len(keep), 1024):
        final[at : at + 1024] = grey[keep[at : at + 1024]]
    final.flush()
    (out / f"{MARKS}.tmp.npy").replace(out / MARKS)
    kinds = [chosen[row].kind for row in keep]
    used = collections.Counter(licences[chosen[row].member[0]] for row in keep)
    source = {**identity, "licences": dict(used.most_common())}
    write_index(out, [":".join(chosen[row].member) for row in keep], families, kinds, source)
    return dict(collections.Counter(kinds))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path, help="directory outside git")
    parser.add_argument("--package", type=Path, help="npm tarball or directory; fetched if left out")
    parser.add_argument("--side", type=int, default=192, help="pixels of a stored mark (192)")
    parser.add_argument("--variants", type=int, default=VARIANTS, help="families of one drawing in several styles")
    parser.add_argument("--concepts", type=int, default=CONCEPTS, help="families of one subject in several packs")
    parser.add_argument("--alone", type=int, default=ALONE_MARKS, help="marks without relatives")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Build; print counts as JSON on stdout."""
    try:
        counts = build(arguments(argv))
    except PackageError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(counts, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
