from django.apps import AppConfig


class TuningConfig(AppConfig):
    """From a week's feedback to validated, reversible parameters."""

    name = "tuning"
