"""Input and output of the search API."""

from typing import Any

from rest_framework import serializers

from search.models import Search
from search.retrieval.records import Filters


class WordsField(serializers.ListField):
    """A list, a repeated form field, or one comma-separated string: forms and scripts both work."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, str):
            data = [data]
        parts: list[Any] = []
        for item in data if isinstance(data, list) else [data]:
            parts += [word.strip() for word in item.split(",") if word.strip()] if isinstance(item, str) else [item]
        return super().to_internal_value(parts)


class SearchInput(serializers.Serializer):
    image = serializers.FileField(
        allow_empty_file=True,  # an empty file gets the engine's sentence, like every other bad image
        error_messages={
            "required": "Send the mark as a file in the field 'image'.",
            "invalid": "Send the mark as a file.",
        },
    )
    nice = WordsField(child=serializers.IntegerField(min_value=1, max_value=45), required=False)
    jurisdiction = WordsField(child=serializers.CharField(max_length=8), required=False)
    status = WordsField(child=serializers.CharField(max_length=24), required=False)
    filed_from = serializers.DateField(required=False, allow_null=True)
    filed_to = serializers.DateField(required=False, allow_null=True)
    depth = serializers.ChoiceField(choices=Search.Depth.choices, default=Search.Depth.REGISTER)

    def to_internal_value(self, data: Any) -> Any:
        # Browsers send empty strings for dates left empty.
        if hasattr(data, "getlist"):
            kept = data.copy()
            for name in ("filed_from", "filed_to"):
                if kept.get(name) == "":
                    del kept[name]
            data = kept
        return super().to_internal_value(data)

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


class SearchOutput(serializers.ModelSerializer):
    parameter_set = serializers.SerializerMethodField()
    owner = serializers.CharField(source="owner.username", read_only=True)
    message = serializers.SerializerMethodField(help_text="what is going on, as a sentence")

    class Meta:
        model = Search
        fields = [
            "id", "status", "message", "error", "owner", "image_name", "width", "height", "filters", "depth",
            "parameter_set", "snapshot", "cluster", "threshold", "scanned", "count", "timings",
            "created_at", "finished_at",
        ]  # fmt: skip

    def get_parameter_set(self, search: Search) -> str | None:
        return f"P{search.parameter_set_id}" if search.parameter_set_id else None

    def get_message(self, search: Search) -> str:
        from search.selectors import progress_sentence

        return progress_sentence(search)
