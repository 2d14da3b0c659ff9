"""What an office's own encoder is trained on: confirmed families, confirmed strangers, and the rest of its register.

Images of the held-out groups are in none of it: the gate could not be trusted if the encoder had learned them.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from feedback.confirmed import confirmed_families
from search import media
from search.errors import Refused
from search.models import Mark
from search.retrieval.decoding import decode_apart
from search.retrieval.imaging import ImageRefused
from search.retrieval.normalise import Normalised, normalise, resized
from search.training.dataset import ALONE, NewMark, write_marks
from tuning.held_out import held_out_layout

SIDE = 192
"""Pixels of a stored training mark: the largest that any recipe asks for."""
LEAST_FAMILIES = 20
MOST_ALONE = 2_000
"""Register marks without feedback that a family must keep its distance from."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Gathered:
    """families: two or more SHA-256 each. alone: confirmed strangers first, then marks that nobody spoke about.
    paths: SHA-256 -> file. facts: counts, for the model card and for people."""

    families: Sequence[Sequence[str]]
    alone: Sequence[str]
    paths: Mapping[str, Path]
    facts: Mapping[str, int]


@dataclass
class Pictures:
    """Reads images as training and fitting want them; what cannot be read, or shows nothing, is skipped and counted."""

    skipped: int = field(default=0)

    def normalised(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Normalised]]:
        for path in paths:
            try:
                mark = normalise(decode_apart(media.read_named(path)))
            except (OSError, ImageRefused):
                self.skipped += 1
                continue
            if mark.blank:
                self.skipped += 1
            else:
                yield path, mark


def gather(*, least: int = LEAST_FAMILIES, most_alone: int = MOST_ALONE) -> Gathered:
    """The families that examiners have confirmed so far. Raises Refused when they are too few."""
    confirmed = confirmed_families()
    held_out = held_out_digests()
    families = [[image for image in family.images if image not in held_out] for family in confirmed.families]
    families = [images for images in families if len(images) > 1]
    if len(families) < least:
        lost = len(confirmed.families) - len(families)
        raise Refused(
            f"Examiners have confirmed {len(families)} famil{'y' if len(families) == 1 else 'ies'} of marks so far; "
            f"{least} are needed to train on."
            + (f" {lost} more are of held-out marks and must not be trained on." if lost else "")
        )
    taken = {image for images in families for image in images}
    strangers = [mark for _, mark in confirmed.strangers if mark not in held_out and mark not in taken]
    paths = dict(confirmed.paths)
    alone = list(dict.fromkeys(strangers))[:most_alone]
    for digest, path in _register(taken.union(held_out, alone), most_alone - len(alone)):
        alone.append(digest)
        paths[digest] = path
    facts = {
        "families": len(families), "images": len(taken), "alone": len(alone), "strangers": len(set(strangers)),
        "searches": confirmed.searches, "examiners": confirmed.examiners, "disputed": confirmed.disputed,
        "components_cut": confirmed.cut, "words_capped": confirmed.capped,
    }  # fmt: skip
    return Gathered(families, alone, paths, facts)


def write(gathered: Gathered, folder: Path, *, least: int = LEAST_FAMILIES, progress: Progress) -> Mapping[str, int]:
    """Write the training data into `folder`; returns the facts with what was skipped. Refused when images are missing
    or broken to the point that too few families are left."""
    pictures = Pictures()
    total = sum(map(len, gathered.families)) + len(gathered.alone)
    readable: dict[int, int] = {}
    facts: dict[str, object] = dict(gathered.facts)

    def marks() -> Iterator[NewMark]:
        groups = [(number, "family", images) for number, images in enumerate(gathered.families)]
        done = 0
        for number, kind, images in [*groups, (ALONE, "alone", gathered.alone)]:
            names = {gathered.paths[image]: image for image in images}
            for path, mark in pictures.normalised(list(names)):
                readable[number] = readable.get(number, 0) + 1
                yield NewMark(resized(mark.grey, SIDE)[:, :, 0], names[path], number, kind)
                done += 1
                progress(done, total, "reading the marks to train on")
        left = sum(count > 1 for number, count in readable.items() if number != ALONE)
        if left < least:
            raise Refused(
                f"Of {len(gathered.families)} confirmed families only {left} have two images that can be read; "
                f"{least} are needed to train on."
            )
        facts.update(families=left, skipped=pictures.skipped)

    write_marks(folder, marks(), side=SIDE, source=facts)  # facts are complete once marks() is through
    return {name: int(str(value)) for name, value in facts.items()}


def register_marks(most: int) -> Iterator[Normalised]:
    """Up to `most` readable marks of the register, none of a held-out group: what whitenings are fitted on."""
    chosen = [path for _, path in _register(held_out_digests(), most)]
    for _, mark in Pictures().normalised(chosen):
        yield mark


def held_out_digests() -> set[str]:
    """SHA-256 of the images of all held-out groups, those of the test split too. Raises Refused without any."""
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in held_out_layout().query_paths}


def _register(without: set[str], most: int) -> list[tuple[str, Path]]:
    """Images of the register by SHA-256, which is as good as a draw and always the same one."""
    found = Mark.objects.order_by("image_sha256").values_list("image_sha256", "image").distinct()
    chosen: list[tuple[str, Path]] = []
    last = ""
    for digest, name in found.iterator(chunk_size=2000):
        if len(chosen) >= most:
            break
        if digest != last and digest not in without:
            chosen.append((digest, media.path_of(name)))
        last = digest
    return chosen
