"""Columns of a mark that follow from others of it: written with the row, whoever writes it."""

from collections.abc import Callable
from typing import Any

from django.db import connection, models

from search.words.match import barred
from search.words.normalise import forms, number_key
from search.words.sound import sounds

_BATCH = 2000


def _numbers(text: str) -> tuple[str, ...]:
    key = number_key(text)
    digits = "".join(filter(str.isdigit, key))
    return tuple(dict.fromkeys(one for one in (key, digits) if one))


KINDS: dict[str, Callable[[str], tuple[str, ...]]] = {"forms": forms, "sounds": sounds, "numbers": _numbers}


class KeysField(models.TextField):
    """The barred keys of another field. `save`, `create` and `bulk_create` keep it; `update` of that field does not."""

    def __init__(self, *args: Any, source: str, kind: str, **kwargs: Any) -> None:
        self.source, self.kind = source, kind
        super().__init__(*args, **{"editable": False, "db_default": "", **kwargs})

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "source": self.source, "kind": self.kind}

    def derive(self, row: models.Model) -> str:
        return barred(KINDS[self.kind](getattr(row, self.source)))

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        value = self.derive(model_instance)
        setattr(model_instance, self.attname, value)
        return value


def keys_write(model: type[models.Model]) -> None:
    """Derive the keys of all rows anew: for a migration that adds them, or after a change of how they are made."""
    fields = [field for field in model._meta.get_fields() if isinstance(field, KeysField)]
    quote = connection.ops.quote_name
    places = ", ".join(f"{quote(str(field.column))} = %s" for field in fields)
    update = f"UPDATE {quote(model._meta.db_table)} SET {places} WHERE id = %s"  # noqa: S608
    last = 0
    while rows := list(model._default_manager.filter(pk__gt=last).order_by("pk")[:_BATCH]):
        with connection.cursor() as cursor:
            cursor.executemany(update, [[*(field.derive(row) for field in fields), row.pk] for row in rows])
        last = rows[-1].pk
