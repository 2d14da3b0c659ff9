from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who may come in: log-ins and their lockout, sessions, API tokens, users and roles in the admin."""

    name = "tmportal.accounts"
