from django.apps import AppConfig


class TmportalConfig(AppConfig):
    """The pages and routes that join the rooms."""

    name = "tmportal"
