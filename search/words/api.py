"""REST: marks by name, owner or number."""

import math
from typing import Any, NoReturn

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from search import media
from search.errors import TooMany
from search.roles import IsExaminer
from search.serializers import FilterInput
from search.words.finding import Found, words_find


class WordsInput(FilterInput):
    q = serializers.CharField(
        allow_blank=True,  # no words get the service's own sentence
        trim_whitespace=False,
        help_text="a name, an owner or a number; words that begin with a minus may not be in the name",
        error_messages={"required": "Give a name, an owner or a number in the field 'q'."},
    )
    top = serializers.IntegerField(min_value=1, max_value=240, default=48)


class WordsHitOutput(serializers.Serializer):
    mark = serializers.CharField(help_text="the mark's number in the register")
    rank = serializers.IntegerField()
    score = serializers.FloatField(help_text="how near, 0 to 1; orders the list, is no percentage")
    ways = serializers.ListField(child=serializers.CharField(), help_text="how it is near, the most telling first")
    name = serializers.CharField()
    owner = serializers.CharField()
    thumbnail = serializers.CharField()


class WordsOutput(serializers.Serializer):
    name = serializers.CharField(help_text="what was looked for, without the words that a name may not have")
    without = serializers.ListField(child=serializers.CharField(), help_text="those words")
    results = WordsHitOutput(many=True)


class _AMinute(UserRateThrottle):
    scope = "words"
    rate = "120/min"


class WordsApi(APIView):
    """GET marks by name, owner or number; strangers are left out. Nothing is recorded."""

    permission_classes = [IsExaminer]
    throttle_classes = [_AMinute]

    @extend_schema(parameters=[WordsInput], responses=WordsOutput, extensions={"x-throttled": True})
    def get(self, request: Request) -> Response:
        form = WordsInput(data=request.query_params)
        form.is_valid(raise_exception=True)
        found = words_find(text=form.validated_data["q"], filters=form.filters(), top=form.validated_data["top"])
        return Response(WordsOutput(_told(found)).data)

    def throttled(self, request: Request, wait: float | None) -> NoReturn:
        refusal = TooMany("That is more than 120 questions in a minute: wait a moment, then ask again.")
        refusal.retry_after = math.ceil(wait or 1)
        raise refusal


def _told(found: Found) -> dict[str, Any]:
    return {
        "name": found.query.text,
        "without": found.query.without,
        "results": [
            {
                "mark": mark.number, "rank": rank, "score": judged.score, "ways": judged.ways, "name": mark.name,
                "owner": mark.owner, "thumbnail": media.thumbnail_url(mark.number),
            }
            for rank, (mark, judged) in enumerate(found.hits, start=1)
        ],
    }  # fmt: skip
