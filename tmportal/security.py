"""Response headers that Django does not set by itself: what a page may load, who may keep or embed what it got."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

# Scripts and styles come from our own static files only; images may also be what the user just chose.
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


class ResponseHeadersMiddleware:
    """Stands first, so that every answer has them: static files, refusals and failures too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if "Cache-Control" not in response.headers:  # static files and pictures have their own
            response.headers["Cache-Control"] = "private, no-store"
        if "public" not in response.headers["Cache-Control"]:
            patch_vary_headers(response, ("Cookie", "Authorization"))
        return response
