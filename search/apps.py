from django.apps import AppConfig


class SearchConfig(AppConfig):
    """The register and the engine that searches it."""

    name = "search"
