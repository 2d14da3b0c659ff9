"""WSGI entry point for any server; `make run` serves it with tmportal.web."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tmportal.settings")
application = get_wsgi_application()
