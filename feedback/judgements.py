"""Reads of feedback for the agreement between examiners."""

from datetime import datetime

from django.db.models import Count

from feedback.agreement import Agreement, Judgement, agreement_of
from feedback.models import Impression
from feedback.selectors import conclusions_between

_CHANGED = (Impression.Outcome.ADDED, Impression.Outcome.REMOVED)


def examiners_agree(*, since: datetime | None, until: datetime, cluster: int | None = None) -> Agreement:
    """Over the searches concluded in (since, until], of one cluster or of all.

    A judgement is a result that was seen; one image is one query, whatever its file was called. Only images that at
    least two examiners searched for are read.
    """
    concluded = conclusions_between(since, until).exclude(search__image_sha256="").order_by()
    if cluster is not None:
        concluded = concluded.filter(search__cluster=cluster)
    shared = (
        concluded.values("search__image_sha256")
        .annotate(people=Count("by", distinct=True))
        .filter(people__gte=2)
        .values("search__image_sha256")
    )
    rows = (
        Impression.objects.filter(
            conclusion__in=concluded.values("pk"), conclusion__search__image_sha256__in=shared, seen=True
        )
        .order_by("conclusion_id")
        .values_list("conclusion__search__image_sha256", "mark_id", "examiner_id", "outcome")
    )
    return agreement_of(
        Judgement(query, mark, examiner, selected=outcome in Impression.SELECTED, changed=outcome in _CHANGED)
        for query, mark, examiner, outcome in rows.iterator(chunk_size=2000)
    )
