"""The week's evidence: concluded searches as the pure policy reads them."""

from datetime import datetime

import numpy as np
from django.db.models import Max, Q, QuerySet

from feedback.models import Conclusion, Impression
from feedback.propensity import PropensityModel
from feedback.selectors import conclusions_between, propensity_at
from search.retrieval.parameters import Parameters
from search.retrieval.similarity import named_table
from tuning.decision_table import UNDECIDED
from tuning.feedback_objective import LoggedSearch
from tuning.held_out import held_out_digests
from tuning.models import ClusterDecision, TuningRun


def evidence_starts() -> dict[int | None, datetime]:
    """Until when each cluster's evidence has been used; key None: the register's own parameters.

    A decision for want of evidence, and one put off, use nothing up. Looking at the register's parameters every week
    uses the clusters' evidence up only when they change: then what was recorded under the old ones is past.
    """
    counted = ClusterDecision.objects.exclude(action__in=UNDECIDED).exclude(run__kind=TuningRun.Kind.DRY_RUN)
    counted = counted.filter(run__finished_at__isnull=False).exclude(run__state=TuningRun.State.FAILED)
    counted = counted.exclude(Q(cluster=None) & (~Q(state="accepted") | Q(run__proposed=None)))
    starts = dict(
        counted.order_by().values("cluster").annotate(until=Max("run__evidence_until")).values_list("cluster", "until")
    )
    # What waited before it went live changed its clusters only then.
    waited = counted.filter(state="accepted", run__decided_at__isnull=False).exclude(
        run__state=TuningRun.State.REJECTED
    )
    late = waited.order_by().values("cluster").annotate(until=Max("run__decided_at")).values_list("cluster", "until")
    for cluster, until in late:
        starts[cluster] = max(until, starts.get(cluster) or until)
    return starts


def fresh_conclusions(live: Parameters, until: datetime) -> QuerySet[Conclusion]:
    """Conclusions that no decision has used yet and that fit the live descriptors and clusters.

    Similarities under another calibration or other descriptors do not compare, so such searches are left out, and
    so are those whose list was drafted from two sets: they say which is better, not how good the live one is. A search
    for a held-out picture is left out too: the gate judges by it.
    """
    return _learnable(until).filter(_fitting(live), _unused(live))


def _learnable(until: datetime) -> QuerySet[Conclusion]:
    return conclusions_between(None, until).exclude(search__image_sha256__in=held_out_digests())


def _fitting(live: Parameters) -> Q:
    return Q(
        search__parameter_set__parameters__descriptors_version=live.descriptors_version,
        search__parameter_set__parameters__calibration_version=live.calibration_version,
        search__clusters_version=live.clusters_version,
        search__candidate_set=None,
    )


def _unused(live: Parameters) -> Q:
    unused = Q()
    for cluster, used_until in evidence_starts().items():
        if used_until is None:
            continue  # a row from before runs said until when they read
        if cluster is None:  # the register's own parameters serve every cluster that has none of its own
            unused &= Q(at__gt=used_until) | Q(search__cluster__in=list(live.clusters))
        else:
            unused &= ~Q(search__cluster=cluster, at__lte=used_until)
    return unused


def logged_searches(live: Parameters, until: datetime, *, names: tuple[str, ...]) -> list[LoggedSearch]:
    """`fresh_conclusions` as the pure policy reads them; `names` gives the order of the similarities."""
    return as_logged(fresh_conclusions(live, until), propensity_at(until), names=names)


def earlier_searches(live: Parameters, until: datetime, *, names: tuple[str, ...], most: int) -> list[LoggedSearch]:
    """The latest `most` searches that a run has decided by already: they still say which parameters agree."""
    fitting = _learnable(until).filter(_fitting(live))
    used = fitting.exclude(pk__in=fresh_conclusions(live, until).values("pk"))
    latest = list(used.order_by("-id").values_list("pk", flat=True)[:most])
    found = Conclusion.objects.filter(pk__in=latest).select_related("search").order_by("id")
    return as_logged(found, propensity_at(until), names=names)


def as_logged(
    conclusions: QuerySet[Conclusion], propensity: PropensityModel, *, names: tuple[str, ...]
) -> list[LoggedSearch]:
    """Concluded searches as the pure modules read them, rows in the order in which they were shown."""
    found = []
    for conclusion in conclusions.iterator(chunk_size=200):
        rows = list(
            conclusion.impressions.order_by("position").values_list(
                "similarities", "score", "preselected", "above_cut", "outcome", "seen", "position"
            )
        )
        if not rows:
            continue
        similarities, scores, preselected, above_cut, outcomes, reached, positions = zip(*rows, strict=True)
        selected = np.array([outcome in Impression.SELECTED for outcome in outcomes], dtype=bool)
        seen = np.array(reached, dtype=bool)
        above = np.array(
            [shown if cut is None else cut for shown, cut in zip(preselected, above_cut, strict=True)], dtype=bool
        )
        plain = conclusion.search.plain
        found.append(
            LoggedSearch(
                key=conclusion.search.image_sha256 or str(conclusion.search_id),
                examiner=conclusion.by_id,
                cluster=conclusion.search.cluster,
                similarities=named_table(similarities, names).astype(np.float32),
                scores=np.array(scores, dtype=np.float64),
                # Shown plain, the cut is judged by what it would have pre-selected, where somebody looked.
                preselected=above & (seen | selected) if plain else above,
                selected=selected,
                seen=seen,
                propensity=None if propensity.is_flat else propensity.at(np.array(positions) - 1),
                blind=plain,
                cut_shift=conclusion.search.cut_shift,
            )
        )
    return found
