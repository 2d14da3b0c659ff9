"""One error shape for the whole API: {"error": {"code", "message", "fields"}}; the message is a sentence."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_handler

from search.errors import DISK_SENTENCES, Refused

log = logging.getLogger(__name__)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    if isinstance(error, Refused):
        refusal = _answer(error.status, error.code, str(error), error.fields)
        if error.retry_after:
            refusal["Retry-After"] = str(error.retry_after)
        return refusal
    if isinstance(error, OSError) and error.errno in DISK_SENTENCES:
        log.error("the disk: %s", error)
        return _answer(507, "disk_full", DISK_SENTENCES[error.errno])
    if isinstance(error, OperationalError):
        log.error("database: %s", error)
        return _answer(503, "unavailable", "The database does not answer just now. Try again in a moment.")
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is nothing at this address.")
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.PermissionDenied) and str(error.detail).startswith("CSRF Failed"):
        return _answer(403, "csrf", "This page is out of date: reload it, then try again.")
    response = drf_handler(error, context)
    if response is None or not isinstance(error, exceptions.APIException):
        log.error("the API failed", exc_info=error)
        return _answer(
            500, "internal", "The service failed on this request. Try again; if it fails again, tell the administrator."
        )
    if isinstance(error, exceptions.ValidationError):
        fields = error.detail if isinstance(error.detail, dict) else {"request": error.detail}
        response.data = _body("invalid", _first_sentence(fields), fields)
    else:
        response.data = _body(str(error.default_code), str(error.detail))
    return response


def _body(code: str, message: str, fields: Any = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "fields": fields or {}}}


def _answer(status: int, code: str, message: str, fields: Any = None) -> Response:
    return Response(_body(code, message, fields), status=status)


def _first_sentence(fields: Any) -> str:
    name, problems = next(iter(fields.items()), ("request", ["The request is not valid."]))
    while isinstance(problems, list | dict) and problems:
        problems = problems[0] if isinstance(problems, list) else next(iter(problems.values()))
    return f"{name}: {problems}" if name not in ("request", "non_field_errors") else str(problems)
