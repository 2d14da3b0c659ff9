from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SearchConfig(AppConfig):
    """The register and the engine that searches it."""

    name = "search"

    def ready(self) -> None:
        from search.words.index import ensure

        post_migrate.connect(ensure, sender=self, dispatch_uid="index of words")
