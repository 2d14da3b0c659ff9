"""Build the demonstration register `search/demo` from brand marks of `@iconify/json`.

    python benchmarks/build_demo.py [--package TARBALL_OR_DIR] [--out search/demo] [--marks 2400]

Only marks of packs under CC0, MIT, ISC or Apache-2.0. Families of `val` lie in METU layout under queries/,
other marks under pool/; register.csv, splits.json and LICENCES.md go with them. The same bytes each time.
"""

from __future__ import annotations

import argparse
import collections
import csv
import io
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.iconify import (  # noqa: E402
    WITHHELD_PACKS,
    Pack,
    PackageError,
    Titles,
    brand_key,
    load_families,
    load_reserved,
    open_package,
    pool_candidates,
    register_rows,
    render_mark,
    svg_document,
)
from benchmarks.iconify.families import DATA, Families, Member, family_brands  # noqa: E402
from benchmarks.iconify.images import SeenPictures, drawn_share, webp_bytes  # noqa: E402
from benchmarks.iconify.licences import licences_page  # noqa: E402
from benchmarks.iconify.metadata import RegisterRow  # noqa: E402
from benchmarks.iconify.select import brands_kept_out, seeded  # noqa: E402

SIZE = 256
LICENCES = frozenset({"CC0-1.0", "MIT", "ISC", "Apache-2.0"})
# Most marks that a pack may give to the pool: no pack's hand should make the register.
PACK_LIMITS = {
    "simple-icons": 600,
    "thesvg-color": 520,
    "logos": 400,
    "token-branded": 180,
    "thesvg": 120,
    "vscode-icons": 120,
    "token": 80,
    "file-icons": 80,
    "devicon": 80,
    "cryptocurrency-color": 60,
    "skill-icons": 40,
    "devicon-plain": 30,
    "cryptocurrency": 20,
    "bxl": 20,
}
# Packs that draw file types: only those that another pack draws as a brand.
_FILE_PACKS = frozenset({"vscode-icons", "file-icons"})
_LARGEST_FILE = 9_000  # bytes; a picture that needs more is a painting, not a mark
_LEAST_DRAWN = 0.35  # of the longest side
COLUMNS = (*RegisterRow.__dataclass_fields__, "image", "source", "licence")
SHARES = {"fit": 0.40, "validate": 0.35, "test": 0.25}


class Drawer:
    """Draws marks and refuses what is empty, tiny, too heavy, or there already."""

    def __init__(self, packs: Mapping[str, Pack]) -> None:
        self.packs = packs
        self.left_out: collections.Counter[str] = collections.Counter()
        self._seen = SeenPictures()

    def draw(self, member: Member) -> bytes | None:
        """The mark as WebP, or None with the reason counted."""
        picture = render_mark(svg_document(self.packs[member[0]], member[1], SIZE), SIZE)
        if picture is None or drawn_share(picture) < _LEAST_DRAWN:
            self.left_out["empty, unrenderable, tiny or a bare rectangle"] += 1
            return None
        content = webp_bytes(picture)
        if len(content) > _LARGEST_FILE:
            self.left_out["file too large"] += 1
            return None
        with Image.open(io.BytesIO(content)) as final:
            if not self._seen.is_new(final.convert("RGB")):
                self.left_out["same picture as another mark"] += 1
                return None
        return content


def permitted(packs: Mapping[str, Pack]) -> set[str]:
    """The packs the demonstration draws from: brands, and a licence that lets us ship them."""
    return {prefix for prefix in PACK_LIMITS if prefix in packs and packs[prefix].licence in LICENCES}


def draw_families(drawer: Drawer, families: Families, allowed: set[str]) -> Iterator[tuple[str, Member, bytes]]:
    """Yield (file, mark, bytes) of families that keep two pictures; numbers as in the full test."""
    for group, (_, members) in tqdm(families.groups.items(), desc="families", unit="family"):
        drawn = []
        for instance, member in enumerate(members, start=1):
            content = drawer.draw(member) if member[0] in allowed else None
            if content is not None:
                drawn.append((f"queries/{instance}-{group}.webp", member, content))
        if len(drawn) >= 2:
            yield from drawn


def draw_pool(drawer: Drawer, candidates: Sequence[Member], count: int) -> Iterator[tuple[str, Member, bytes]]:
    """Yield `count` marks of other brands, at most PACK_LIMITS of each pack (fewer when they run out)."""
    brands = {brand_key(icon) for prefix, icon in candidates if prefix not in _FILE_PACKS}
    taken: collections.Counter[str] = collections.Counter()
    with tqdm(total=count, desc="pool", unit="mark") as bar:
        for member in candidates:
            prefix, icon = member
            if taken.total() == count:
                return
            no_brand = prefix in _FILE_PACKS and brand_key(icon) not in brands
            if no_brand or taken[prefix] == PACK_LIMITS[prefix]:
                continue
            content = drawer.draw(member)
            if content is not None:
                taken[prefix] += 1
                bar.update()
                yield f"pool/{prefix}--{icon}.webp", member, content


def split_groups(sizes: Mapping[int, int]) -> dict[str, list[int]]:
    """Deal groups to fit / validate / test by SHARES, groups of like size evenly (largest deficit first)."""
    splits: dict[str, list[int]] = {name: [] for name in SHARES}
    order = sorted(sizes, key=lambda group: (-sizes[group], seeded("deal", str(group))))
    for dealt, group in enumerate(order, start=1):
        behind = max(SHARES, key=lambda name: SHARES[name] * dealt - len(splits[name]))
        splits[behind].append(group)
    return {name: sorted(groups) for name, groups in splits.items()}


def build(args: argparse.Namespace) -> dict[str, object]:
    """Build beside the target, then put the parts in place; return counts."""
    splits, reserved = load_families(args.families), load_reserved(args.reserved)
    package = open_package(args.package, cache=ROOT / "build")
    packs = {pack.prefix: pack for pack in package.packs(without=WITHHELD_PACKS)}
    allowed = permitted(packs)
    kept_out = brands_kept_out(family_brands(args.families), reserved)
    candidates = pool_candidates(
        [packs[prefix] for prefix in sorted(allowed)],
        split="val",
        kept_out=kept_out,
        reserved=reserved,
        licences=LICENCES,
    )
    drawer = Drawer(packs)
    marks = list(draw_families(drawer, splits["val"], allowed))
    sizes = collections.Counter(_group(file) for file, _, _ in marks)
    marks += draw_pool(drawer, candidates, max(0, args.marks - len(marks)))

    fresh = args.out.with_name(args.out.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    for folder in ("queries", "pool"):
        (fresh / folder).mkdir(parents=True)
    for file, _, content in marks:
        (fresh / file).write_bytes(content)
    titles = Titles(icon for prefix in sorted(allowed) for icon in packs[prefix].icons)
    write_register(fresh / "register.csv", [(file, member) for file, member, _ in marks], packs, titles)
    (fresh / "splits.json").write_text(json.dumps(split_groups(sizes)) + "\n", encoding="utf-8")
    used = collections.Counter(prefix for _, (prefix, _), _ in marks)
    (fresh / "LICENCES.md").write_text(licences_page(used, packs, package.version), encoding="utf-8")
    size = sum(file.stat().st_size for file in fresh.rglob("*") if file.is_file())
    put_in_place(fresh, args.out)
    return {
        "marks": len(marks),
        "groups": len(sizes),
        "queries": sizes.total(),
        "bytes": size,
        "left_out": dict(drawer.left_out),
        "packs": dict(sorted(used.items())),
    }


def _group(file: str) -> int:
    return int(Path(file).stem.partition("-")[2])


def write_register(path: Path, marks: Sequence[tuple[str, Member]], packs: Mapping[str, Pack], titles: Titles) -> None:
    """Write register.csv; Nice classes are parted by semicolons."""
    rows = register_rows([member for _, member in marks], titles)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row, (image, (prefix, icon)) in zip(rows, marks, strict=True):
            nice = ";".join(str(number) for number in row.nice_classes)
            legal = (row.jurisdiction, row.status, row.filing_date.isoformat())
            source = (image, f"{prefix}:{icon}", packs[prefix].licence)
            writer.writerow((row.number, row.name, row.owner, nice, *legal, *source))


def put_in_place(fresh: Path, out: Path) -> None:
    """Replace the parts that this script makes; anything else in `out` stays."""
    out.mkdir(parents=True, exist_ok=True)
    for part in sorted(fresh.iterdir()):
        target = out / part.name
        if target.is_dir():
            shutil.rmtree(target)
        part.replace(target)
    fresh.rmdir()


def main(argv: Sequence[str] | None = None) -> int:
    """Build; print counts as JSON on stdout."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--out", type=Path, default=ROOT / "search" / "demo")
    parser.add_argument("--marks", type=int, default=2400, help="marks in all (2400)")
    parser.add_argument("--package", type=Path, help="npm tarball or directory; fetched if left out")
    parser.add_argument("--families", type=Path, default=DATA / "families.json")
    parser.add_argument("--reserved", type=Path, default=DATA / "reserved.txt")
    try:
        counts = build(parser.parse_args(argv))
    except PackageError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'A file'}: {error.strerror}.", file=sys.stderr)
        return 1
    print(json.dumps(counts, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
