"""REST: more like these, less like those, inside one search."""

from uuid import UUID

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feedback.selectors import selection_changes
from feedback.services import page_of
from search.errors import NotThere
from search.refining import MOST, refine_ask, refined_rows
from search.roles import IsExaminer
from search.selectors import search_get
from search.serializers import Text, WholeNumber
from tmportal.api import ResultOutput, result_out


def _numbers(what: str) -> serializers.ListField:
    return serializers.ListField(
        child=Text(max_length=64), default=list, max_length=MOST, help_text=what,
        error_messages={"max_length": f"At most {MOST} marks: name fewer."},
    )  # fmt: skip


class RefineInput(serializers.Serializer):
    like = _numbers("numbers of marks to come closer to")
    unlike = _numbers("numbers of marks to move away from")
    page = WholeNumber(min_value=1, max_value=10**9, default=1)


class RefinedOutput(ResultOutput):
    rank = serializers.IntegerField(help_text="place in the refined list")
    rank_before = serializers.IntegerField(
        allow_null=True, help_text="place in the results; null where it is not there"
    )


class RefineApi(APIView):
    """POST marks to come closer to and to move away from; the answer is a page of results in another order.

    The results themselves, their ranks and percentages stay as they are, and the tuning learns nothing of it.
    """

    permission_classes = [IsExaminer]

    @extend_schema(
        request=RefineInput,
        responses=inline_serializer(
            "RefinedPage",
            {"count": serializers.IntegerField(), "page": serializers.IntegerField(),
             "pages": serializers.IntegerField(), "results": RefinedOutput(many=True)},
        ),
    )  # fmt: skip
    def post(self, request: Request, search_id: UUID) -> Response:
        search = search_get(user=request.user, search_id=search_id)
        form = RefineInput(data=request.data)
        form.is_valid(raise_exception=True)
        page = form.validated_data["page"]
        answer = refine_ask(search=search, user=request.user, **form.validated_data)
        pages = page_of(answer["count"]) if answer["count"] else 1
        if page > pages:
            raise NotThere(f"There is no page {page}: the refined list has {pages} page{'s' if pages > 1 else ''}.")
        changes = selection_changes(search)
        places = {hit["number"]: hit["rank"] for hit in answer["hits"]}
        results = [
            {
                **result_out(row, changes),
                "rank": places[row.mark.number],
                "rank_before": None if row.refined else row.position,
            }
            for row in refined_rows(search, answer["hits"])
        ]
        return Response({"count": answer["count"], "page": page, "pages": pages, "results": results})
