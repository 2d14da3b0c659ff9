"""Build a test in METU layout (queries/, pool/) from the logo families of `@iconify/json`.

    python benchmarks/build_families.py --split val --distractors 4000 --out DIR [--package TARBALL_OR_DIR]

`final` is for the leaderboard, once a release: nothing is trained, fitted or chosen on it. Its pool is that of `val`.

Every member of a family is a query `<instance>-<group>.png`; the pool holds marks of other brands. The same
arguments give the same bytes. A build that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import io
import itertools
import json
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.iconify import (  # noqa: E402
    RECIPE_VERSION,
    WITHHELD_PACKS,
    Families,
    Pack,
    PackageError,
    load_families,
    load_reserved,
    open_package,
    pool_candidates,
    render_mark,
    svg_document,
)
from benchmarks.iconify.families import DATA, Member, family_brands, final_of, load_final  # noqa: E402
from benchmarks.iconify.names import BrandFilter  # noqa: E402
from benchmarks.iconify.select import brands_kept_out  # noqa: E402
from benchmarks.iconify.training_marks import choose  # noqa: E402

_PNG_END = b"IEND\xaeB`\x82"


@dataclass
class Build:
    """A directory being filled: what is drawn, what was left out and why."""

    out: Path
    packs: dict[str, Pack]
    size: int
    pool: Pool
    seen: set[bytes] = field(default_factory=set)
    left_out: collections.Counter[str] = field(default_factory=collections.Counter)

    def draw(self, wanted: Sequence[tuple[Member, str]]) -> Iterator[tuple[Member, str]]:
        """Draw marks under their file names, in order; yield those that were kept.

        Left out: what shows nothing or cannot be rendered, and a picture that is there already.
        """
        jobs = [(self._svg(member), self.size, self.out / file) for member, file in wanted]
        drawn = self.pool.imap(_draw_one, jobs, chunksize=8)
        for (member, file), digest in zip(wanted, drawn, strict=True):
            if digest is None:
                self.left_out["empty or unrenderable"] += 1
            elif digest in self.seen:
                self.left_out["same picture as an earlier mark"] += 1
                (self.out / file).unlink(missing_ok=True)
            else:
                self.seen.add(digest)
                yield member, file

    def _svg(self, member: Member) -> str:
        prefix, icon = member
        if prefix not in self.packs or icon not in self.packs[prefix].icons:
            raise PackageError(f"The icon package has no {prefix}:{icon}, which the families name.")
        return svg_document(self.packs[prefix], icon, self.size)


def _draw_one(job: tuple[str, int, Path]) -> bytes | None:
    """Render one mark unless its file is there; give the digest of the file's bytes, None for no picture."""
    svg, size, file = job
    if file.exists():
        content = file.read_bytes()
        if content.endswith(_PNG_END):
            return hashlib.sha256(content).digest()
    picture = render_mark(svg, size)
    if picture is None:
        return None
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=6)
    partial = file.with_suffix(".tmp")
    partial.write_bytes(buffer.getvalue())
    partial.replace(file)
    return hashlib.sha256(buffer.getvalue()).digest()


def build_queries(build: Build, families: Families) -> dict[int, dict[str, Any]]:
    """Draw every member of every family; a family with fewer than two pictures is no query group."""
    wanted = [
        (member, f"queries/{instance}-{group}.png")
        for group, (_, members) in families.groups.items()
        for instance, member in enumerate(members, start=1)
    ]
    kept: dict[int, dict[str, str]] = collections.defaultdict(dict)
    for (prefix, icon), file in tqdm(build.draw(wanted), total=len(wanted), desc="queries", unit="mark"):
        kept[int(Path(file).stem.partition("-")[2])][file] = f"{prefix}:{icon}"
    groups = {}
    for group, files in kept.items():
        if len(files) < 2:
            build.left_out["the only picture of its family"] += len(files)
            for file in files:
                (build.out / file).unlink()
        else:
            groups[group] = {"name": families.groups[group][0], "marks": files}
    return groups


def build_pool(build: Build, candidates: Iterable[Member], distractors: int) -> list[Member]:
    """Draw candidates in their order until `distractors` pictures are there (fewer when they run out)."""
    rest = iter(candidates)
    kept: list[Member] = []
    with tqdm(total=distractors, desc="pool", unit="mark") as bar:
        while len(kept) < distractors:
            batch = list(itertools.islice(rest, distractors - len(kept)))
            if not batch:
                break
            for member, _ in build.draw([(m, f"pool/{m[0]}--{m[1]}.png") for m in batch]):
                kept.append(member)
                bar.update()
    return kept


def prepare(out: Path, identity: dict[str, Any]) -> None:
    """Make `out`, or accept what an earlier run of the very same build left there."""
    manifest = out / "manifest.json"
    if out.exists() and not out.is_dir():
        raise PackageError(f"{out} is a file, not a directory.")
    if out.is_dir() and any(out.iterdir()):
        try:
            earlier = json.loads(manifest.read_text(encoding="utf-8"))["build"]
        except (OSError, ValueError, KeyError):
            raise PackageError(f"{out} holds something else than a build of this script.") from None
        if earlier != identity:
            raise PackageError(f"{out} holds a build with other settings; give another --out.")
    try:
        for folder in ("queries", "pool"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        for partial in out.glob("*/*.tmp"):
            partial.unlink()
    except OSError as error:
        raise PackageError(f"{out} cannot be written: {error.strerror}.") from None
    write_json(manifest, {"build": identity, "complete": False})


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write to another name first: a half-written file is never seen."""
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(path)


def _unseen(
    packs: Sequence[Pack], splits: dict[str, Families], kept_out: BrandFilter, reserved: set[Member]
) -> list[Member]:
    """Marks of the pool of `train` that the encoder was not trained on (training_marks.py, its default numbers)."""
    pool = pool_candidates(packs, split="train", kept_out=kept_out, reserved=reserved)
    trained_on = {one.member for one in choose(splits["train"].groups.values(), pool)}
    return [member for member in pool if member not in trained_on]


def _named_in(args: argparse.Namespace) -> list[Path]:
    """The files that say which families and marks there are."""
    return [path for path in (args.families, args.reserved, final_of(args.families)) if path.is_file()]


def build_all(args: argparse.Namespace) -> dict[str, Any]:
    """Build the directory and return its manifest."""
    splits, reserved = load_families(args.families), load_reserved(args.reserved)
    families = load_final(args.families) if args.split == "final" else splits[args.split]
    if any(member in reserved or member[0] in WITHHELD_PACKS for member in families.members()):
        raise PackageError(f"{args.families} names marks that are reserved.")
    package = open_package(args.package, cache=ROOT / "build")
    identity = {
        "package": package.version,
        "families": hashlib.sha256(b"".join(file.read_bytes() for file in _named_in(args))).hexdigest(),
        "recipe": RECIPE_VERSION,
        "split": args.split,
        "distractors": args.distractors,
        "size": args.size,
    } | ({"fill": True} if args.fill else {})
    prepare(args.out, identity)
    packs = {pack.prefix: pack for pack in package.packs(without=WITHHELD_PACKS)}
    kept_out = brands_kept_out(family_brands(args.families), reserved)
    of_split = "train" if args.split == "train" else "val"
    candidates = pool_candidates(list(packs.values()), split=of_split, kept_out=kept_out, reserved=reserved)
    if args.fill:
        candidates += _unseen(list(packs.values()), splits, kept_out, reserved)
    with multiprocessing.Pool(args.jobs) as workers:
        build = Build(args.out, packs, args.size, workers)
        groups = build_queries(build, families)
        pool = build_pool(build, candidates, args.distractors)
    queries = [source.partition(":")[0] for group in groups.values() for source in group["marks"].values()]
    per_pack = collections.Counter(queries) + collections.Counter(prefix for prefix, _ in pool)
    licences: collections.Counter[str] = collections.Counter()
    for prefix, count in per_pack.items():
        licences[packs[prefix].licence] += count
    manifest = {
        "build": identity,
        "complete": True,
        "queries": len(queries),
        "groups": len(groups),
        "pool": len(pool),
        "left_out": dict(build.left_out),
        "packs": {p: {"marks": n, "licence": packs[p].licence} for p, n in per_pack.items()},
        "licences": dict(licences),
        "families": groups,
    }
    write_json(args.out / "manifest.json", manifest)
    return manifest


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", required=True, choices=("train", "val", "final"))
    parser.add_argument("--distractors", required=True, type=int, help="marks in the pool")
    parser.add_argument("--out", required=True, type=Path, help="directory outside git")
    parser.add_argument(
        "--fill", action="store_true", help="val, final: when its own marks run out, go on with marks never trained on"
    )
    parser.add_argument("--size", type=int, default=256, help="longest side in pixels (256)")
    parser.add_argument("--package", type=Path, help="npm tarball or directory; fetched if left out")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (all cores)")
    parser.add_argument("--families", type=Path, default=DATA / "families.json")
    parser.add_argument("--reserved", type=Path, default=DATA / "reserved.txt")
    args = parser.parse_args(argv)
    if args.fill and args.split == "train":
        parser.error("--fill belongs to --split val and --split final")
    if args.distractors < 0 or args.jobs < 1 or args.size < 32:
        parser.error("--distractors must be 0 or more, --jobs 1 or more, --size 32 or more")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Build; print counts as JSON on stdout."""
    try:
        manifest = build_all(arguments(argv))
    except PackageError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'A file'}: {error.strerror}.", file=sys.stderr)
        return 1
    print(json.dumps({key: manifest[key] for key in ("groups", "queries", "pool", "left_out", "licences")}, indent=1))
    if manifest["pool"] < manifest["build"]["distractors"]:
        print(f"Only {manifest['pool']} marks may stand in this pool.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
