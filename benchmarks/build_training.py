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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.iconify import (  # noqa: E402
    BRAND_PACKS,
    RECIPE_VERSION,
    WITHHELD_PACKS,
    PackageError,
    brand_key,
    kept_from_training,
    load_families,
    load_reserved,
    open_package,
    pool_candidates,
    render_mark,
    svg_document,
)
from benchmarks.iconify.families import Member  # noqa: E402
from benchmarks.iconify.select import brands_kept_out, seeded  # noqa: E402
from search.retrieval.normalise import normalise, resized  # noqa: E402
from search.training.dataset import ALONE, MARKS, write_index  # noqa: E402

_MOST = 6  # members of one family: large ones are much the same drawing again
_SPECIFIC = 6  # letters in a name below which it says too little ("up", "home2")


@dataclass(frozen=True)
class Chosen:
    """One mark, its family (a name, "" for none) and the kind of family."""

    member: Member
    family: str
    kind: str


def choose(
    families: Iterable[tuple[str, Sequence[Member]]],
    pool: Sequence[Member],
    *,
    variants: int,
    concepts: int,
    alone: int,
) -> list[Chosen]:
    """The marks of the training data, in a stable order; each mark once."""
    chosen = [
        Chosen(m, f"family {name}", "kept" if kept_from_training(name) else "family")
        for name, members in families
        for m in members
    ]
    brands = [m for m in pool if m[0] in BRAND_PACKS]
    others = [m for m in pool if m[0] not in BRAND_PACKS]
    chosen += _groups(brands, lambda m: brand_key(m[1]), "brand", len(brands), per_pack=len(brands))
    chosen += _groups(
        others, lambda m: f"{m[0]} {brand_key(m[1])}", "variant", variants, per_pack=max(variants // 12, 1)
    )
    taken = {one.member for one in chosen}
    left = [m for m in others if m not in taken and len(brand_key(m[1])) >= _SPECIFIC]
    chosen += _groups(left, lambda m: brand_key(m[1]), "concept", concepts, per_pack=concepts, apart=True)
    taken = {one.member for one in chosen}
    rest = [m for m in [*brands, *others] if m not in taken]
    return chosen + [Chosen(m, "", "alone") for m in rest[:alone]]


def _groups(
    pool: Sequence[Member],
    key: Callable[[Member], str],
    kind: str,
    most: int,
    *,
    per_pack: int,
    apart: bool = False,
) -> list[Chosen]:
    """Up to `most` groups of marks with one key. apart: at most one mark of a pack in each."""
    found: dict[str, list[Member]] = collections.defaultdict(list)
    for member in pool:
        group = found[key(member)]
        if not apart or all(member[0] != other[0] for other in group):
            group.append(member)
    chosen: list[Chosen] = []
    packs: collections.Counter[str] = collections.Counter()
    count = 0
    for name in sorted((n for n, group in found.items() if len(group) > 1), key=lambda n: seeded("training", kind, n)):
        group = sorted(found[name], key=lambda m: seeded("member", *m))[:_MOST]
        if count == most or packs[group[0][0]] >= per_pack:
            continue
        packs[group[0][0]] += 1
        count += 1
        chosen += [Chosen(member, f"{kind} {name}", kind) for member in group]
    return chosen


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
    parser.add_argument("--variants", type=int, default=4000, help="families of one drawing in several styles")
    parser.add_argument("--concepts", type=int, default=2500, help="families of one subject in several packs")
    parser.add_argument("--alone", type=int, default=6000, help="marks without relatives")
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
