"""Build the training data of the encoder from `@iconify/json`: real marks and the families they form.

    python benchmarks/build_training.py --out build/training [--package TARBALL_OR_DIR] [--variants N] ...

Only the `train` split: the families of `families.json` -> train; brands that several packs draw; single drawings
that a pack offers outlined, filled, boxed or thin; subjects that several packs draw; marks alone; and names of brands
in several fonts. Nothing of the `val` and `final` families, of the pool of `val`, of the reserved marks and packs is
learnt from, and what looks like a mark of `final` is left out. Stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import itertools
import json
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.iconify import (  # noqa: E402
    RECIPE_VERSION,
    WITHHELD_PACKS,
    PackageError,
    brand_key,
    load_families,
    load_reserved,
    open_package,
    pool_candidates,
    render_mark,
    svg_document,
)
from benchmarks.iconify.families import family_brands, load_final  # noqa: E402
from benchmarks.iconify.fonts import draw_word, draw_words, open_fonts, spelled  # noqa: E402
from benchmarks.iconify.select import brands_kept_out  # noqa: E402
from benchmarks.iconify.training_marks import ALONE_MARKS, CONCEPTS, VARIANTS, Chosen, choose  # noqa: E402
from search.retrieval.normalise import normalise, resized  # noqa: E402
from search.training.augment import centred  # noqa: E402
from search.training.dataset import ALONE, WORDS, NewMark, write_marks, write_words  # noqa: E402
from search.training.supcon import NEAR_DUPLICATE, thumbprints  # noqa: E402

WORD_MARKS, WORD_PICTURES, WORD_PACK = 1200, 3000, "word"
"""Names that are marks of their own, pictures of names to put beside marks, and what stands for a pack's name."""
_FONTS_OF_A_WORD = 3
_SHORTEST, _LONGEST = 3, 14
"""Letters of a name that is drawn."""
_AT_ONCE = 1024


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
        list(packs.values()), split="train", kept_out=brands_kept_out(family_brands(), reserved), reserved=reserved
    )
    chosen = choose(
        splits["train"].groups.values(), pool, variants=args.variants, concepts=args.concepts, alone=args.alone
    )
    if any(one.member in reserved or one.member[0] in WITHHELD_PACKS for one in chosen):
        raise PackageError("The families name marks that are reserved.")
    args.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    brands = sorted({brand_key(one.member[1]) for one in chosen if one.kind in {"family", "brand"}})
    brands = [name for name in brands if _SHORTEST <= len(name) <= _LONGEST]
    fonts = open_fonts(ROOT / "build")
    words = list(word_marks(brands, fonts, args.words, args.side, rng))
    final = [
        Chosen(member, f"final {name}", "final") for name, marks in load_final().groups.values() for member in marks
    ]
    everything = [*chosen, *final]
    identity = {"package": package.version, "recipe": RECIPE_VERSION, "side": args.side, "marks": len(everything)}
    identity["chosen"] = hashlib.sha256(repr(everything).encode()).hexdigest()
    grey, drawn = _open(args.out, identity, len(everything), args.side)
    todo = [
        (row, svg_document(packs[one.member[0]], one.member[1], 256), args.side)
        for row, one in enumerate(everything)
        if not drawn[row]
    ]
    with multiprocessing.Pool(args.jobs) as workers:
        for row, picture in tqdm(workers.imap(_draw, todo, chunksize=16), total=len(todo), unit="mark", desc="draw"):
            if picture is not None:
                grey[row] = picture
            drawn[row] = 1 if picture is not None else 2
    write_words(args.out / WORDS, draw_words(brands, fonts, WORD_PICTURES, rng))
    licences = {prefix: pack.licence for prefix, pack in packs.items()} | {WORD_PACK: "OFL-1.1"}
    return write_chosen(
        args.out, without_final(everything, grey, drawn), words, side=args.side, identity=identity, licences=licences
    )


Drawing = tuple[Chosen, np.ndarray]


def word_marks(
    brands: Sequence[str], fonts: dict[str, bytes], count: int, side: int, rng: np.random.Generator
) -> Iterator[Drawing]:
    """`count` names as marks, each in a few fonts."""
    for name in rng.permutation(brands)[:count].tolist():
        for font in rng.choice(list(fonts), _FONTS_OF_A_WORD, replace=False).tolist():
            picture = draw_word(spelled(name, rng), fonts[font])
            if picture is not None:
                yield Chosen((WORD_PACK, f"{name} {font}"), f"word {name}", "word"), centred(picture, side)


def without_final(everything: Sequence[Chosen], grey: np.ndarray, drawn: np.ndarray) -> Iterator[Drawing]:
    """What was drawn, without the marks of `final` and what looks like one of them."""
    parts = [grey[at : at + _AT_ONCE] for at in range(0, len(grey), _AT_ONCE)]
    prints = torch.cat([thumbprints(torch.from_numpy(np.array(part))) for part in parts]).numpy()
    final = [row for row, one in enumerate(everything) if one.kind == "final" and drawn[row] == 1]
    near = (prints @ prints[final].T).max(axis=1, initial=-1.0) > NEAR_DUPLICATE
    for row, one in enumerate(everything):
        if drawn[row] == 1 and not near[row]:
            yield one, grey[row]


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
    icons: Iterable[Drawing],
    words: Iterable[Drawing],
    *,
    side: int,
    identity: Mapping[str, object],
    licences: Mapping[str, str],
) -> dict[str, int]:
    """Keep one of equal pictures of a family, and write the data under its final names."""
    numbers: dict[str, int] = {"": ALONE}
    shown: dict[str, int] = {}
    seen: set[tuple[int, bytes]] = set()
    kinds: collections.Counter[str] = collections.Counter()
    used: collections.Counter[str] = collections.Counter()

    def marks() -> Iterator[NewMark]:
        for one, picture in itertools.chain(icons, words):
            family = numbers.setdefault(one.family, len(numbers) - 1)
            print_ = (family, hashlib.sha256(picture.tobytes()).digest())
            if print_ in seen:
                continue
            seen.add(print_)
            kinds[one.kind] += 1
            used[licences[one.member[0]]] += 1
            shows = one.family if one.kind == "word" else brand_key(one.member[1])
            subject = shown.setdefault(shows, len(shown))
            yield NewMark(picture, ":".join(one.member), family, one.kind, subject)

    write_marks(out, marks(), side=side, source={**identity, "licences": used})
    return dict(kinds)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path, help="directory outside git")
    parser.add_argument("--package", type=Path, help="npm tarball or directory; fetched if left out")
    parser.add_argument("--side", type=int, default=192, help="pixels of a stored mark (192)")
    parser.add_argument("--variants", type=int, default=VARIANTS, help="families of one drawing in several styles")
    parser.add_argument("--concepts", type=int, default=CONCEPTS, help="families of one subject in several packs")
    parser.add_argument("--alone", type=int, default=ALONE_MARKS, help="marks without relatives")
    parser.add_argument("--words", type=int, default=WORD_MARKS, help="families of one name in several fonts")
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
