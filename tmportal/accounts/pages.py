"""Logging in, and one's own account: a new password, and the end of every session and token."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth import authenticate, logout, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from search.roles import IsAdministrator
from tmportal.accounts.guard import LoginLocked
from tmportal.accounts.models import AccessToken, LoginRecord, PersonalSession
from tmportal.accounts.services import log_out_everywhere, password_changed


class LoginPage(LoginView):
    redirect_authenticated_user = True

    def form_valid(self, form: Any) -> HttpResponse:
        PersonalSession.objects.filter(expire_date__lt=timezone.now()).delete()
        return super().form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        locked = next((error for error in form.non_field_errors().as_data() if isinstance(error, LoginLocked)), None)
        answer = self.render_to_response(self.get_context_data(form=form, locked=locked and locked.message))
        if locked:
            answer.status_code = 429
            answer.headers["Retry-After"] = str(locked.seconds)
        return answer


def admin_login(request: HttpRequest) -> HttpResponse:
    """There is one way in: who is logged in already and comes here lacks the role."""
    if request.user.is_authenticated:
        raise PermissionDenied(IsAdministrator.message)
    wanted = {"next": request.GET.get("next") or reverse("admin:index")}
    return redirect(f"{reverse('login')}?{urlencode(wanted)}")


class OwnPasswordForm(PasswordChangeForm):
    """The old password is a guess like any other: it is asked for at the same door."""

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(cast(User, request.user), *args)
        self.request = request

    def clean_old_password(self) -> str:
        old: str = self.cleaned_data["old_password"]
        if authenticate(self.request, username=self.user.get_username(), password=old) is None:
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return old


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """What one is logged in with; POST sets a new password."""
    form = OwnPasswordForm(request, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        user = form.save()
        password_changed(user)
        update_session_auth_hash(request, user)
        messages.success(request, "The new password is set. Every other session and every API token has ended.")
        return redirect("account")
    now, user = timezone.now(), cast(User, request.user)
    context = {
        "form": form,
        "sessions": PersonalSession.objects.filter(user=user, expire_date__gt=now).count(),
        "tokens": AccessToken.objects.filter(user=user, expires_at__gt=now).count(),
        "logins": LoginRecord.objects.filter(user=user).order_by("-last_at")[:10],
    }
    return render(request, "account.html", context)


@require_POST
def leave_everywhere(request: HttpRequest) -> HttpResponse:
    log_out_everywhere(request.user)
    logout(request)
    messages.success(request, "You are logged out everywhere: every session and every API token has ended.")
    return redirect("login")
