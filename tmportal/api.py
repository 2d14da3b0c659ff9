"""REST routes that join rooms: results with their selections, reports."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feedback.models import Report
from feedback.reports import report_make
from feedback.selectors import Change, latest_report, selection_changes
from feedback.services import page_of, page_seen, search_conclude, selection_set
from search import media
from search.api import PAGE
from search.errors import NotThere, Refused
from search.models import Search, SearchResult
from search.roles import IsExaminer
from search.selectors import results_of, search_get
from search.serializers import TrueOrFalse, WholeNumber


class SessionApi(APIView):
    """GET: who is logged in in this browser, and the token that its changes must carry."""

    @extend_schema(
        responses=inline_serializer(
            "Session",
            {"user": serializers.CharField(), "name": serializers.CharField(), "csrf": serializers.CharField()},
        )
    )
    def get(self, request: Request) -> Response:
        csrf = get_token(request._request)
        return Response({"user": str(request.user.pk), "name": request.user.get_username(), "csrf": csrf})


class ResultOutput(serializers.Serializer):
    mark = serializers.CharField(help_text="the mark's number in the register")
    rank = serializers.IntegerField(help_text="place in the list as shown, 1 is first")
    score = serializers.FloatField(help_text="calibrated fused similarity, 0 to 100")
    similarities = serializers.DictField(
        child=serializers.FloatField(allow_null=True),
        help_text="calibrated similarity per descriptor, 0 to 100; null = missing",
    )
    preselected = serializers.BooleanField()
    selected = serializers.BooleanField()
    change = serializers.IntegerField(help_text="number of the latest change of its selection; 0 = none yet")
    refined = serializers.BooleanField(help_text="only a refined list found it; it is no evidence for the tuning")
    thumbnail = serializers.CharField()
    name = serializers.CharField()
    owner = serializers.CharField()
    nice = serializers.ListField(child=serializers.IntegerField())
    jurisdiction = serializers.CharField()
    mark_status = serializers.CharField()
    filing_date = serializers.DateField(allow_null=True)
    size = serializers.ListField(
        child=serializers.IntegerField(), help_text="width and height of the mark's original, pixels"
    )
    boxes = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField()),
        allow_null=True,
        help_text="[query box, mark box] of the best matching parts: x0, y0, x1, y1",
    )


def result_out(result: SearchResult, changes: dict[str, Change]) -> dict[str, Any]:
    mark = result.mark
    latest = changes.get(mark.number, Change(result.preselected, 0))
    return {
        "mark": mark.number,
        "rank": result.position,
        "score": round(100 * result.score, 2),
        "similarities": {n: None if v is None else round(100 * v, 2) for n, v in result.similarities.items()},
        "preselected": result.preselected,
        "selected": latest.selected,
        "change": latest.number,
        "refined": result.refined,
        "thumbnail": media.thumbnail_url(mark.number),
        "name": mark.name,
        "owner": mark.owner,
        "nice": mark.nice_classes,
        "jurisdiction": mark.jurisdiction,
        "mark_status": mark.status,
        "filing_date": mark.filing_date,
        "size": [mark.width, mark.height],
        "boxes": result.boxes,
    }


def results_page(*, search: Search, page: int, user: Any) -> dict[str, Any]:
    """One page of results with the state of their selection. Showing it is what makes it `seen`."""
    if search.status != Search.Status.DONE:
        raise Refused("The search is not done yet: ask for its status first.")
    count = search.count + search.results.filter(refined=True).count()
    pages = max(1, page_of(count)) if count else 1
    if not 1 <= page <= pages:
        raise NotThere(f"There is no page {page}: the results have {pages} page{'s' if pages > 1 else ''}.")
    start = (page - 1) * settings.TM_PAGE_SIZE
    changes = selection_changes(search)
    rows = results_of(search)[start : start + settings.TM_PAGE_SIZE]
    page_seen(search=search, page=page, user=user)
    return {"count": count, "page": page, "pages": pages, "results": [result_out(row, changes) for row in rows]}


_PAGE_OUT = inline_serializer(
    "ResultsPage",
    {"count": serializers.IntegerField(), "page": serializers.IntegerField(), "pages": serializers.IntegerField(),
     "results": ResultOutput(many=True)},
)  # fmt: skip


_LONGEST_PAGE = 9  # digits


class ResultsApi(APIView):
    permission_classes = [IsExaminer]

    @extend_schema(parameters=[PAGE], responses=_PAGE_OUT)
    def get(self, request: Request, search_id: UUID) -> Response:
        search = search_get(user=request.user, search_id=search_id)
        asked = request.query_params.get("page", "1")
        if not (asked.isascii() and asked.isdecimal()) or len(asked) > _LONGEST_PAGE:
            raise Refused("The page is a whole number from 1.")
        return Response(results_page(search=search, page=int(asked), user=request.user))


class SelectionInput(serializers.Serializer):
    selected = TrueOrFalse()
    after = WholeNumber(
        required=False,
        min_value=0,
        max_value=2**63 - 1,
        help_text="the `change` you saw; 409 when another one came since",
    )


class ResultApi(APIView):
    permission_classes = [IsExaminer]

    @extend_schema(
        request=SelectionInput,
        responses=inline_serializer(
            "Selected",
            {
                "mark": serializers.CharField(),
                "selected": serializers.BooleanField(),
                "change": serializers.IntegerField(),
            },
        ),
    )
    def patch(self, request: Request, search_id: UUID, number: str) -> Response:
        search = search_get(user=request.user, search_id=search_id)
        form = SelectionInput(data=request.data)
        form.is_valid(raise_exception=True)
        latest = selection_set(search=search, number=number, user=request.user, **form.validated_data)
        return Response({"mark": number, "selected": latest.selected, "change": latest.number})


class ReportApi(APIView):
    """POST makes the report and concludes the search; GET hands out the latest as PDF or CSV."""

    permission_classes = [IsExaminer]

    @extend_schema(
        request=None,
        responses={
            201: inline_serializer("ReportMade", {"url": serializers.CharField(), "csv": serializers.CharField()})
        },
        operation_id="report_make",
    )
    def post(self, request: Request, search_id: UUID) -> Response:
        search = search_get(user=request.user, search_id=search_id)
        report_make(search=search, user=request.user)
        url = reverse("report", args=[search.pk])
        return Response({"url": url, "csv": f"{url}?as=csv"}, status=201)

    @extend_schema(
        parameters=[OpenApiParameter("as", OpenApiTypes.STR, enum=["pdf", "csv"], default="pdf")],
        responses={
            (200, "application/pdf"): OpenApiResponse(OpenApiTypes.BINARY),
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR),
        },
        operation_id="report_get",
    )
    def get(self, request: Request, search_id: UUID) -> HttpResponse:
        search = search_get(user=request.user, search_id=search_id)
        report = latest_report(search)
        if report is None:
            raise NotThere("No report was made of this search yet.")
        kind = request.query_params.get("as", "pdf")
        if kind not in ("pdf", "csv"):
            raise Refused("A report comes as pdf or as csv.")
        return report_response(report, as_csv=kind == "csv")


def report_response(report: Report, *, as_csv: bool) -> HttpResponse:
    name, kind = (report.csv, "text/csv") if as_csv else (report.pdf, "application/pdf")
    try:
        data = media.read(name)
    except FileNotFoundError:
        raise NotThere("The report is no longer on file: make it again.") from None
    suffix = "csv" if as_csv else "pdf"
    disposition = f'{"attachment" if as_csv else "inline"}; filename="report-{report.pk}.{suffix}"'
    return HttpResponse(data, content_type=kind, headers={"Content-Disposition": disposition})


class NoSuchRoute(APIView):
    """Anything else under /api/: the same error shape as everywhere."""

    @extend_schema(exclude=True)
    def get(self, request: Request, rest: str) -> Response:
        raise NotThere("There is no such address in the API; /api/schema/ lists them all.")

    post = put = patch = delete = options = get

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        return self.get(request, **kwargs)


class DoneApi(APIView):
    """POST: the examiner is done without a report; the search counts as evidence."""

    permission_classes = [IsExaminer]

    @extend_schema(request=None, responses={201: inline_serializer("Done", {"concluded": serializers.BooleanField()})})
    def post(self, request: Request, search_id: UUID) -> Response:
        search_conclude(search=search_get(user=request.user, search_id=search_id), kind="done", user=request.user)
        return Response({"concluded": True}, status=201)
