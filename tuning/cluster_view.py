"""Everything the page of one cluster shows, or of the register's own parameters (cluster None)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
from django.db.models import Q, QuerySet
from django.utils import timezone

from feedback.judgements import examiners_agree
from feedback.models import Impression
from feedback.selectors import conclusions_between
from search.errors import NotThere
from search.models import Mark, ParameterSet, Search
from search.retrieval.fusion import fuse
from search.retrieval.parameters import ClusterParameters, Parameters
from search.retrieval.similarity import named_table
from search.selectors import live_parameter_set
from tuning import decision_view, overview
from tuning.charts import before_after
from tuning.cluster_charts import Cut, delta_chart, score_histogram, trials_chart
from tuning.decision_table import UNDECIDED
from tuning.exemplars import clustering_now, exemplars_of
from tuning.held_out_pictures import relatives_of
from tuning.models import ClusterDecision

AGREEMENT_DAYS = 365
SEARCHES_READ = 300
"""Concluded searches behind the distribution of scores: the latest ones, so that the page opens at once."""
_SETS_READ = 300
_EXTREMES = 5
_RELATIVES = 4
_HISTORY = 30
_SHOWN = 0.0005  # a smaller change of AP@100 would be printed as 0.0 points


def cluster_context(cluster: int | None) -> dict[str, Any]:
    """Raises NotThere for a number that no clustering and no record knows."""
    clustering = clustering_now()
    shares = clustering.shares if clustering else ()
    decisions = _decisions(cluster)
    inside = cluster is not None and cluster < len(shares)
    if cluster is not None and not inside and not decisions and not Search.objects.filter(cluster=cluster).exists():
        raise NotThere(f"There is no cluster {cluster}.")
    live = live_parameter_set()
    change = parameter_change(live, cluster) if live else None
    now = timezone.now()
    # The latest that came to a decision; one for want of evidence says nothing about the parameters.
    latest = next((d for d in decisions if d.action not in UNDECIDED), None)
    looked = next((d for d in decisions if (d.detail or {}).get("trials")), None)
    return {
        "cluster": cluster,
        "name": "Register" if cluster is None else f"Cluster {cluster}",
        "share": shares[cluster] if cluster is not None and inside else None,
        "clusters": len(shares),
        "previous": cluster - 1 if cluster else None,
        "next": cluster + 1 if cluster is not None and cluster + 1 < len(shares) else None,
        "exemplars": _exemplars(cluster),
        "live": live,
        "evidence": overview.evidence_of_cluster(cluster),
        "agreement": examiners_agree(since=now - timedelta(days=AGREEMENT_DAYS), until=now, cluster=cluster),
        "change": change,
        "scores": score_distribution(live, cluster, before=change["before"]) if live and change else None,
        "latest": decision_view.DecisionRow(latest) if latest else None,
        "tree": decision_view.tree_of([latest]) if latest else None,
        "looked": decision_view.DecisionRow(looked) if looked else None,
        "trials": trials_chart((looked.detail or {}).get("trials") or []) if looked else None,
        "gate": gate_view(looked) if looked else None,
        "history": [decision_view.DecisionRow(d) for d in decisions[:_HISTORY]],
        "searches": _searches(cluster, live.unpack() if live else None)[:8],
    }


def _exemplars(cluster: int | None) -> list[Mark]:
    return exemplars_of([cluster]).get(cluster, []) if cluster is not None else []


def _decisions(cluster: int | None) -> list[ClusterDecision]:
    rows = ClusterDecision.objects.filter(cluster=cluster, run__finished_at__isnull=False)
    return list(rows.select_related("run", "run__proposed", "run__base").order_by("-run_id")[: 4 * _HISTORY])


def parameter_change(live: ParameterSet, cluster: int | None) -> dict[str, Any]:
    """What serves the cluster now, and what did before it last changed, as bars."""
    now = live.unpack().for_cluster(cluster)
    earlier, since = live, live
    sets = ParameterSet.objects.in_bulk(list(ParameterSet.objects.values_list("pk", flat=True)[:_SETS_READ]))
    while (parent := sets.get(earlier.parent_id or 0)) is not None:
        earlier = parent
        if earlier.unpack().for_cluster(cluster) != now:
            break
        since = earlier
    before = earlier.unpack().for_cluster(cluster)
    changed = before != now
    return {
        "changed": changed,
        "since": since,
        "before_set": earlier if changed else None,
        "own": cluster is not None and cluster in live.unpack().clusters,
        "chart": before_after(_shares(before if changed else now), _shares(now), decision_view.WORDS),
        "now": now,
        "before": before if changed else None,
    }


def score_distribution(live: ParameterSet, cluster: int | None, *, before: ClusterParameters | None) -> dict[str, Any]:
    """Seen results of the latest concluded searches, scored with what serves now, by what examiners did with them."""
    parameters = live.unpack()
    own = parameters.for_cluster(cluster)
    concluded = _fitting(conclusions_between(None, timezone.now()), parameters, cluster).order_by("-id")
    ids = list(concluded.values_list("pk", flat=True)[:SEARCHES_READ])
    rows = list(
        Impression.objects.filter(conclusion__in=ids, seen=True)
        .values_list("outcome", "similarities", "conclusion__search__cut_shift")
        .iterator(2000)
    )
    names = parameters.names
    table = named_table((row for _, row, _ in rows), names)
    # Each search has its own cut: scores of all lie on one axis where they are measured from it.
    shifts = np.array([shift for _, _, shift in rows])
    scores = np.clip(np.nan_to_num(fuse(table, np.array(own.weight_vector(names))), nan=0.0) - shifts, 0.0, 1.0)
    by_outcome: dict[str, list[float]] = {}
    for (outcome, _, _), score in zip(rows, scores, strict=True):
        by_outcome.setdefault(outcome, []).append(float(score))
    cuts = [Cut(own.threshold, f"cut now {own.threshold:.1%}".replace("%", " %"))]
    if before is not None and abs(before.threshold - own.threshold) >= 0.0005:
        cuts.append(Cut(before.threshold, f"before {before.threshold:.1%}".replace("%", " %"), "before"))
    wanted = [score for name in ("kept", "added") for score in by_outcome.get(name, ())]
    left = [score for name in ("removed", "untouched") for score in by_outcome.get(name, ())]
    return {
        "chart": score_histogram(by_outcome, cuts),
        "searches": len(ids),
        "counts": {name: len(by_outcome.get(name, ())) for name in ("kept", "added", "removed", "untouched")},
        "wanted": len(wanted),
        "wanted_above": sum(score >= own.threshold for score in wanted),
        "left": len(left),
        "left_above": sum(score >= own.threshold for score in left),
    }


def _fitting(conclusions: QuerySet[Any], parameters: Parameters, cluster: int | None) -> QuerySet[Any]:
    """Those whose similarities compare with the live ones, of searches that this cluster's parameters serve."""
    fitting = Q(
        search__parameter_set__parameters__descriptors_version=parameters.descriptors_version,
        search__parameter_set__parameters__calibration_version=parameters.calibration_version,
    )
    if cluster is None:
        return conclusions.filter(fitting).exclude(search__cluster__in=list(parameters.clusters))
    return conclusions.filter(fitting, search__cluster=cluster, search__clusters_version=parameters.clusters_version)


def gate_view(decision: ClusterDecision) -> dict[str, Any]:
    """The gate of one decision: figures, the change query by query, and the best and worst with their pictures."""
    gate = (decision.detail or {}).get("gate") or {}
    deltas = decision_view.deltas_of(gate)
    ordered = sorted(deltas, key=lambda one: one["delta"])
    worst = [one for one in ordered[:_EXTREMES] if one["delta"] <= -_SHOWN]
    best = [one for one in reversed(ordered[-_EXTREMES:]) if one["delta"] >= _SHOWN]
    pictures = relatives_of(one["name"] for one in best + worst)
    for one in best + worst:
        relatives = pictures.get(one["name"], [])
        one["on_file"] = one["name"] in pictures
        one["relatives"], one["more"] = relatives[:_RELATIVES], max(0, len(relatives) - _RELATIVES)
    return {
        "rows": decision_view.gate_rows(gate),
        "passed": gate.get("passed"),
        "reason": gate.get("reason", ""),
        "chart": delta_chart(deltas),
        "sides": [("Gain most", best), ("Lose most", worst)],
        "run": decision.run,
    }


def _searches(cluster: int | None, parameters: Parameters | None) -> QuerySet[Search]:
    rows = Search.objects.filter(status=Search.Status.DONE).select_related("owner")
    if cluster is not None:
        return rows.filter(cluster=cluster)
    return rows.exclude(cluster__in=list(parameters.clusters) if parameters else [])


def _shares(values: ClusterParameters) -> Mapping[str, float]:
    return {**values.weights, "threshold": values.threshold}
