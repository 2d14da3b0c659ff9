"""Input and output of the search API."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from search.models import Search
from search.queue import ask_again
from search.retrieval.records import Filters


class TrueOrFalse(serializers.BooleanField):
    """In JSON, where "false" is a word."""

    def to_internal_value(self, data: Any) -> Any:
        return data if isinstance(data, bool) else self.fail("invalid", input=data)


class WholeNumber(serializers.IntegerField):
    """In JSON, where "1" is a word."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, bool | str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """In JSON, where 1 is a number."""

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data) if isinstance(data, str) else self.fail("invalid")


class WordsField(serializers.ListField):
    """A list, a repeated form field, or one comma-separated string: forms and scripts both work."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, str):
            data = [data]
        parts: list[Any] = []
        for item in data if isinstance(data, list) else [data]:
            parts += [word.strip() for word in item.split(",") if word.strip()] if isinstance(item, str) else [item]
        return super().to_internal_value(parts)


_MOST = 250  # words of a filter: as many as there are jurisdictions


class FilterInput(serializers.Serializer):
    """The limits of a search, by image or by words."""

    nice = WordsField(child=serializers.IntegerField(min_value=1, max_value=45), required=False, max_length=_MOST)
    jurisdiction = WordsField(child=serializers.CharField(max_length=8), required=False, max_length=_MOST)
    status = WordsField(child=serializers.CharField(max_length=24), required=False, max_length=_MOST)
    filed_from = serializers.DateField(required=False, allow_null=True)
    filed_to = serializers.DateField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("filed_from") and attrs.get("filed_to") and attrs["filed_from"] > attrs["filed_to"]:
            raise serializers.ValidationError({"filed_to": "The end of the filing dates lies before their start."})
        return attrs

    def filters(self) -> Filters:
        data = self.validated_data
        return Filters(
            nice=tuple(sorted(set(data.get("nice", ())))),
            jurisdictions=tuple(sorted(set(data.get("jurisdiction", ())))),
            statuses=tuple(sorted(set(data.get("status", ())))),
            filed_from=data.get("filed_from"),
            filed_to=data.get("filed_to"),
        )


@extend_schema_field(OpenApiTypes.BINARY)
class _File(serializers.FileField):
    pass


class SearchInput(FilterInput):
    image = _File(
        allow_empty_file=True,  # an empty file gets the engine's sentence, like every other bad image
        error_messages={
            "required": "Send the mark as a file in the field 'image'.",
            "invalid": "Send the mark as a file.",
        },
    )
    depth = serializers.ChoiceField(choices=Search.Depth.choices, default=Search.Depth.REGISTER)


class ConceptInput(FilterInput):
    q = serializers.CharField(
        allow_blank=True,  # no words get the service's own sentence
        help_text="what the mark shows, in words",
        error_messages={"required": "Say in the field 'q' what the mark shows, in words."},
    )
    top = serializers.IntegerField(min_value=1, max_value=240, default=48)


class ConceptHitOutput(serializers.Serializer):
    mark = serializers.CharField(help_text="the mark's number in the register")
    rank = serializers.IntegerField()
    cosine = serializers.FloatField(help_text="nearness of meaning, -1 to 1; orders the list, is no percentage")
    name = serializers.CharField()
    owner = serializers.CharField()
    thumbnail = serializers.CharField()


class ConceptOutput(serializers.Serializer):
    words = serializers.CharField()
    scanned = serializers.IntegerField(help_text="marks that the filters allow and whose meaning is known")
    snapshot = serializers.CharField()
    results = ConceptHitOutput(many=True)


class SearchOutput(serializers.ModelSerializer):
    parameter_set = serializers.SerializerMethodField()
    owner = serializers.CharField(source="owner.username", read_only=True)
    message = serializers.SerializerMethodField(help_text="what is going on, as a sentence")
    ask_again = serializers.SerializerMethodField(
        help_text="seconds until this may have changed: ask again then; null once the search has ended"
    )

    class Meta:
        model = Search
        fields = [
            "id", "status", "message", "ask_again", "error", "owner", "image_name", "width", "height", "filters",
            "depth", "parameter_set", "snapshot", "cluster", "threshold", "cut_shift", "scanned", "count", "timings",
            "vienna", "created_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_parameter_set(self, search: Search) -> str | None:
        return f"P{search.parameter_set_id}" if search.parameter_set_id else None

    def get_message(self, search: Search) -> str:
        from search.selectors import progress_sentence

        return progress_sentence(search)

    def get_ask_again(self, search: Search) -> float | None:
        return ask_again(search)


search_out = SearchOutput().to_representation
"""What `SearchOutput(search).data` is, without building the serializer's fields at every request."""
