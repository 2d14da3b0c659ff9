"""API tokens, the counts that lock, and the record of log-ins. Every table here is bounded: see where rows are made."""

from django.conf import settings
from django.db import models

from tmportal.accounts.sessions import PersonalSession

__all__ = ["AccessToken", "LoginCount", "LoginRecord", "PersonalSession"]


class AccessToken(models.Model):
    """A token of the API. Only its SHA-256 is kept: whoever reads this table cannot use what stands there."""

    digest = models.CharField(max_length=64, primary_key=True)
    # No way from an account to its tokens: a filter of the admin's list would spell them out.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    password_state = models.CharField(max_length=128)  # of the password at that time: a new one ends the token
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"token of {self.user}"


class LoginCount(models.Model):
    """Tries that did not succeed, for one account, one address or one account at one address it is known at."""

    key = models.CharField(max_length=140, primary_key=True)
    tries = models.PositiveIntegerField()
    since = models.DateTimeField(db_index=True)  # when counting, or the lock, began

    def __str__(self) -> str:
        return f"{self.tries} of {self.key}"


class LoginRecord(models.Model):
    """What an administrator sees: one row for an account (or all names that are none) and an address."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="logins")
    address = models.CharField(max_length=50)
    failures = models.PositiveIntegerField("wrong passwords", default=0)
    refused = models.PositiveIntegerField("refused while locked (from 100: about)", default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)
    locked_at = models.DateTimeField("last locked", null=True, db_index=True)
    succeeded_at = models.DateTimeField("last logged in", null=True)

    class Meta:
        verbose_name = "log-in"
        constraints = [
            models.UniqueConstraint(fields=["user", "address"], name="one_record_of_an_account_at_an_address"),
            models.UniqueConstraint(
                fields=["address"], condition=models.Q(user=None), name="one_record_of_unknown_names_at_an_address"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user or 'a name that is no account'} from {self.address}"
