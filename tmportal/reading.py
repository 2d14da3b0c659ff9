"""Reading what clients send: what cannot be read is their error and says so, never a failure of the service."""

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404
from django.urls import reverse
from django.urls.converters import PathConverter
from django.utils.http import parse_header_parameters
from rest_framework import exceptions, negotiation, parsers
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

_UNREADABLE = "application/octet-stream"
_TEXT = {"", "utf-8", "utf8", "us-ascii"}


class ReadableContent:
    """WSGI: a body of a kind that nothing here reads arrives as bytes of no known kind, so that every view refuses it
    in its own way: text that is not UTF-8, and forms with files where no file is taken.

    In front of Django, since its request cannot even be made of some headers, and since the CSRF check would read a
    form to its end, file by file, before anybody knows who sent it.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not self.readable(environ.get("CONTENT_TYPE", ""), environ.get("PATH_INFO", "")):
            environ["CONTENT_TYPE"] = _UNREADABLE
        if not environ.get("CONTENT_LENGTH", "").isdecimal():
            environ["CONTENT_LENGTH"] = ""
        return self.application(environ, start_response)

    def readable(self, content_type: str, path: str) -> bool:
        try:
            kind, options = parse_header_parameters(content_type)
        except (LookupError, ValueError):  # a parameter in an encoding that does not exist
            return False
        takes_files = path == reverse("searches").removeprefix(settings.FORCE_SCRIPT_NAME or "")
        return options.get("charset", "").lower() in _TEXT and (takes_files or not kind.startswith("multipart/"))


class JSONParser(parsers.JSONParser):
    """JSON of a size and a depth that a form here can have."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        length = parser_context["request"].META.get("CONTENT_LENGTH") if parser_context else None
        if int(length or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise exceptions.ParseError("The JSON is nested too deeply.") from None


class AnyAccept(negotiation.DefaultContentNegotiation):
    """Each address has one kind of answer, which is sent whatever the client would rather have: a PDF is no JSON, and
    a refusal is readable to whoever asked for a PDF."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderers = list(renderers)
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except (exceptions.NotAcceptable, Http404):
            return renderers[0], renderers[0].media_type


class NumberConverter(PathConverter):
    """The number of a mark in an address: any text, slashes included, that a database can hold."""

    def to_python(self, value: str) -> str:
        if "\0" in value:
            raise ValueError("no such number")
        return str(value)
