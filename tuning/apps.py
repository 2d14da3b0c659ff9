from django.apps import AppConfig


class TuningConfig(AppConfig):
    """From a week's feedback to validated, reversible parameters."""

    name = "tuning"

    def ready(self) -> None:
        from tuning import rollbacks  # noqa: F401  it listens to the moves of the live pointer
