"""How an answer is laid out for its examiner: as ranked, with audit slots, plain, or drafted from two sets.

Chance decides by the id of the search, so a search that is run again is laid out in the same way. An examiner's first
searches are always as ranked: who learns a tool must be able to trust it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from search.models import LivePointer, ParameterSet, Search
from search.retrieval.audit import AuditConfig, is_plain, place_audits
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.fusion import fuse
from search.retrieval.interleaving import BOTH, is_interleaved, team_draft
from search.retrieval.parameters import ClusterParameters
from search.retrieval.records import Hit, SearchAnswer
from search.retrieval.similarity import named_table

PAGES = 2  # that audit slots and drafts reach: farther down few examiners go


@dataclass(frozen=True)
class Place:
    """One place of the list. row: of the answer, from 0; the others as in SearchResult."""

    row: int
    preselected: bool
    above_cut: bool | None = None
    audit: bool = False
    arm: int | None = None


@dataclass(frozen=True)
class Layout:
    """The list from its first place on. candidate: the set it was drafted with, besides the live one."""

    places: list[Place]
    plain: bool = False
    candidate: ParameterSet | None = None


def arrange(
    search: Search, answer: SearchAnswer, hits: Sequence[Hit], *, pointer: LivePointer, clusters_version: str
) -> Layout:
    """Lay out the hits of an answer, best first, made with the live set of `pointer` in a cluster of this clustering.

    hits: those of the answer whose marks are still there.
    """
    if not _settled(search.owner_id):
        return Layout([Place(row, hit.preselected) for row, hit in enumerate(hits)])
    seed = str(search.pk)
    if is_interleaved(seed, settings.TM_INTERLEAVE_SHARE):
        rival = _rival(pointer, answer.cluster, clusters_version)
        if rival is not None:
            return Layout(_drafted(seed, hits, rival, answer.cut_shift), candidate=pointer.candidate)
    above = np.array([hit.preselected for hit in hits], dtype=bool)
    config = AuditConfig(
        slots=settings.TM_AUDIT_SLOTS, reach=PAGES * settings.TM_PAGE_SIZE, depth=max(len(hits), 1),
        plain_share=settings.TM_PLAIN_SHARE,
    )  # fmt: skip
    order, audit = place_audits(above, config=config, seed=seed)
    plain = is_plain(seed, config.plain_share)
    places = [
        Place(int(row), bool(above[row]) and not plain, bool(above[row]) if plain else None, bool(slot))
        for row, slot in zip(order, audit, strict=True)
    ]
    return Layout(places, plain=plain)


def _settled(owner_id: int) -> bool:
    """Whether this examiner has concluded enough searches for the guards to act on theirs."""
    needed = settings.TM_GUARDS_AFTER
    done = Search.objects.filter(owner_id=owner_id, concluded_at__isnull=False)
    return needed == 0 or done.order_by()[:needed].count() >= needed


def _rival(pointer: LivePointer, cluster: int, clusters_version: str) -> ClusterParameters | None:
    """The candidate's parameters of this cluster, if there is one and they differ from the live ones."""
    if pointer.candidate is None:
        return None
    live, candidate = pointer.parameter_set.unpack(), pointer.candidate.unpack()
    same = (live.descriptors_version, live.calibration_version, clusters_version)
    if (candidate.descriptors_version, candidate.calibration_version, candidate.clusters_version) != same:
        return None
    theirs = candidate.for_cluster(cluster)
    ours = live.for_cluster(cluster if live.clusters_version == clusters_version else None)
    return theirs if theirs.weights != ours.weights or theirs.threshold != ours.threshold else None


def _drafted(seed: str, hits: Sequence[Hit], rival: ClusterParameters, cut_shift: float) -> list[Place]:
    """One list from the live ranking and the rival's. cut_shift: of this search, whoever's threshold.

    Both rank the same marks, those of the live answer: the rival's score is Eq 1 on the similarities that the
    answer carries. A mark is pre-selected only when both sets would, so no team gains by a lower cut.
    """
    scores = _fused(hits, rival)
    order, team = team_draft(
        np.arange(len(hits)), np.argsort(-scores, kind="stable"), depth=PAGES * settings.TM_PAGE_SIZE, seed=seed
    )
    return [
        Place(
            int(row),
            preselected=hits[row].preselected and bool(scores[row] >= rival.threshold + cut_shift),
            above_cut=hits[row].preselected,
            arm=None if arm == BOTH else int(arm),
        )
        for row, arm in zip(order, team, strict=True)
    ]


def _fused(hits: Sequence[Hit], parameters: ClusterParameters) -> NDArray[np.float32]:
    """(m,) scores of these hits with other parameters."""
    table = named_table((hit.similarities for hit in hits), DESCRIPTORS)
    return np.nan_to_num(fuse(table, np.array(parameters.weight_vector(DESCRIPTORS))), nan=0.0)
