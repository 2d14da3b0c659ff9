"""Users, log-ins and the admin's own record. Nobody gives permissions here: an account has a role, or none.

A superuser is made on the command line (`manage.py createsuperuser`), and only a superuser sees one here.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest

from search.admin import ReadOnlyAdmin
from search.roles import ADMINISTRATOR, EXAMINER
from tmportal.accounts.guard import login_unlock
from tmportal.accounts.models import LoginRecord
from tmportal.accounts.services import log_out_everywhere, password_changed, role_set

admin.site.unregister([Group, User])
admin.site.index_template = "admin/portal_index.html"


def _role_field() -> forms.ChoiceField:
    choices = [("", "none"), (EXAMINER, EXAMINER), (ADMINISTRATOR, ADMINISTRATOR)]
    return forms.ChoiceField(choices=choices, required=False, help_text="An administrator also manages these records.")


class PersonForm(UserChangeForm):
    role = _role_field()

    class Meta(UserChangeForm.Meta):
        fields = ("username", "password", "first_name", "last_name", "email", "is_active")  # type: ignore[assignment]

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if "role" in self.fields:
            self.fields["role"].initial = role_of(self.instance)


class NewPersonForm(AdminUserCreationForm):
    role = _role_field()


class NewPasswordForm(AdminPasswordChangeForm):
    def save(self, commit: bool = True) -> Any:
        user = super().save(commit)
        password_changed(user)
        return user


def role_of(user: Any) -> str:
    names = {group.name for group in user.groups.all()} if user.pk else set()
    return next((role for role in (ADMINISTRATOR, EXAMINER) if role in names), "")


@admin.register(User)
class PersonAdmin(UserAdmin):
    form = PersonForm
    add_form = NewPersonForm
    change_password_form = NewPasswordForm
    fieldsets = (
        (None, {"fields": ("username", "password", "role", "is_active")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "role", "usable_password", "password1", "password2")}),)
    list_display = ("username", "role", "is_active", "first_name", "last_name", "last_login")
    list_filter = ("is_active", "groups")
    filter_horizontal = ()
    actions = ("end_sessions", "unlock")

    @admin.display(description="Role")
    def role(self, user: Any) -> str:
        return role_of(user) or "none"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        people = super().get_queryset(request).prefetch_related("groups")
        return people if request.user.is_superuser else people.filter(is_superuser=False)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        beyond = obj is not None and obj.is_superuser and not request.user.is_superuser
        return super().has_change_permission(request, obj) and not beyond

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # Nobody locks himself out, and the last administrator cannot go by mistake.
        own = ("role", "is_active") if obj is not None and obj.pk == request.user.pk else ()
        return ("last_login", "date_joined", *own)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not obj.is_active:
            log_out_everywhere(obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if "role" in form.cleaned_data:
            role_set(user=form.instance, role=form.cleaned_data["role"])

    @admin.action(description="Log out everywhere (ends sessions and API tokens)", permissions=["change"])
    def end_sessions(self, request: HttpRequest, people: QuerySet[Any]) -> None:
        for user in people:
            log_out_everywhere(user)
            self.log_change(request, user, "Logged out everywhere.")
        self.message_user(request, f"Logged out everywhere: {', '.join(user.get_username() for user in people)}.")

    @admin.action(description="Unlock after wrong passwords", permissions=["change"])
    def unlock(self, request: HttpRequest, people: QuerySet[Any]) -> None:
        for user in people:
            login_unlock(name=user.get_username())
            self.log_change(request, user, "Unlocked after wrong passwords.")
        self.message_user(request, f"May try again: {', '.join(user.get_username() for user in people)}.")


@admin.register(LoginRecord)
class LoginRecordAdmin(ReadOnlyAdmin):
    list_display = ("who", "address", "failures", "refused", "first_at", "last_at", "locked_at", "succeeded_at")
    list_filter = ("locked_at", "last_at")
    search_fields = ("user__username", "address")
    ordering = ("-last_at",)
    list_select_related = ("user",)
    actions = ("unlock",)

    @admin.display(description="Account", ordering="user__username")
    def who(self, record: LoginRecord) -> str:
        return record.user.get_username() if record.user else "names that are no account"

    @admin.action(description="Unlock: let these accounts and addresses try again", permissions=["view"])
    def unlock(self, request: HttpRequest, records: QuerySet[LoginRecord]) -> None:
        for record in records:
            login_unlock(name=record.user.get_username() if record.user else "", address=record.address)
        self.message_user(request, "They may try again.")


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    """Who changed what in these records."""

    list_display = ("action_time", "user", "content_type", "object_repr", "action_flag", "change_message")
    list_select_related = ("user", "content_type")
    date_hierarchy = "action_time"
