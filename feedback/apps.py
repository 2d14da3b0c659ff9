from django.apps import AppConfig


class FeedbackConfig(AppConfig):
    """What examiners saw, added, removed and reported."""

    name = "feedback"
