"""One error shape for the whole API: {"error": {"code", "message", "fields"}}; the message is a sentence."""

import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_handler

from search.errors import DISK_SENTENCES, Refused

log = logging.getLogger(__name__)


Told = tuple[int, str, str]
"""Status, code and sentence."""


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    if isinstance(error, Refused):
        refusal = _answer(error.status, error.code, str(error), error.fields)
        if error.retry_after:
            refusal["Retry-After"] = str(error.retry_after)
        return refusal
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is nothing at this address.")
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    told = _unreadable(error) or _out_of_order(error) or _in_our_words(error, context)
    response = None if told else drf_handler(error, context)
    if response is None or not isinstance(error, exceptions.APIException):
        if not told:
            log.error("the API failed", exc_info=error)
        return _answer(*(told or (500, "internal", _INTERNAL)))
    if isinstance(error, exceptions.ValidationError):
        fields = error.detail if isinstance(error.detail, dict) else {"request": error.detail}
        response.data = _body("invalid", _first_sentence(fields), fields)
    else:
        response.data = _body(str(error.default_code), str(error.detail))
    return response


def _out_of_order(error: Exception) -> Told | None:
    """For a part of the service that does not work just now."""
    if isinstance(error, OSError) and error.errno in DISK_SENTENCES:
        log.error("the disk: %s", error)
        return 507, "disk_full", DISK_SENTENCES[error.errno]
    if isinstance(error, OperationalError):
        log.error("database: %s", error)
        return 503, "unavailable", "The database does not answer just now. Try again in a moment."
    return None


def _in_our_words(error: Exception, context: dict[str, Any]) -> Told | None:
    """Where the framework's own sentence does not say what to do."""
    if isinstance(error, exceptions.PermissionDenied) and str(error.detail).startswith("CSRF Failed"):
        return 403, "csrf", "This page is out of date: reload it, then try again."
    if isinstance(error, exceptions.UnsupportedMediaType):
        taken = " or ".join(parser.media_type for parser in context["view"].parser_classes)
        return 415, "unsupported_media_type", f"Send the request as {taken}, its text in UTF-8."
    return None


def _unreadable(error: Exception) -> Told | None:
    """For what was sent in a way that cannot be read."""
    if isinstance(error, RequestDataTooBig):
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2**20
        return 413, "too_large", f"The request is too large: without its image it may have {most} MB."
    if isinstance(error, TooManyFieldsSent):
        return 400, "invalid", f"A form may have {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS} fields: send fewer."
    if isinstance(error, TooManyFilesSent):
        return 400, "invalid", f"A form may have {settings.DATA_UPLOAD_MAX_NUMBER_FILES} files: send fewer."
    # An encoding that does not exist, named inside a form; its subclasses are faults of our own.
    if isinstance(error, SuspiciousOperation | UnreadablePostError) or type(error) is LookupError:
        return 400, "invalid", "The request cannot be read: send a whole form, its text in UTF-8."
    return None


def _page(status: int, sentence: str, page: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Django's handler of this status; under /api/ the answer has the API's shape even where no view was reached."""

    def handler(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
        if not request.path.startswith("/api/"):
            return page(request, exception) if exception else page(request)
        told = exception and _unreadable(exception)
        code = {400: "invalid", 403: "not_allowed", 404: "not_found"}.get(status, "internal")
        return JsonResponse(_body(code, told[2] if told else sentence), status=status)

    return handler


_INTERNAL = "The service failed on this request. Try again; if it fails again, tell the administrator."
handler400 = _page(400, "The request cannot be read: is the address right?", defaults.bad_request)
handler403 = _page(403, "This is not for you.", defaults.permission_denied)
handler404 = _page(404, "There is no such address in the API; /api/schema/ lists them all.", defaults.page_not_found)
handler500 = _page(500, _INTERNAL, defaults.server_error)


def _body(code: str, message: str, fields: Any = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "fields": fields or {}}}


def _answer(status: int, code: str, message: str, fields: Any = None) -> Response:
    return Response(_body(code, message, fields), status=status)


def _first_sentence(fields: Any) -> str:
    name, problems = next(iter(fields.items()), ("request", ["The request is not valid."]))
    while isinstance(problems, list | dict) and problems:
        problems = problems[0] if isinstance(problems, list) else next(iter(problems.values()))
    return f"{name}: {problems}" if name not in ("request", "non_field_errors") else str(problems)
