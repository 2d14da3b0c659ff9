"""WSGI entry point for any server; `make run` serves it with tmportal.web."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tmportal.settings")
_django = get_wsgi_application()

from tmportal.reading import ReadableContent  # noqa: E402  it needs Django to be set up

application: Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]] = ReadableContent(_django)
