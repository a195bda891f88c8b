"""A very simple page with a few selects: a whole Django project, and the WSGI application that gunicorn loads.

The environment says which backend serves it (contender.py) and where the server is (libpq's variables).
"""

# ruff: noqa: E402  # Django is imported when the driver has been chosen

from __future__ import annotations

import os
import sys

from contender import told

CONTENDER = told()
if CONTENDER.driver == "psycopg2":
    sys.modules["psycopg"] = None  # type: ignore[assignment]  # Django prefers it where it can be imported

import django
from django.conf import settings

SELECTS = int(os.environ.get("BENCH_SELECTS", "3"))
PARAMETERS = {"NAME": "PGDATABASE", "USER": "PGUSER", "PASSWORD": "PGPASSWORD", "HOST": "PGHOST", "PORT": "PGPORT"}

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": CONTENDER.engine,
            **{name: os.environ[variable] for name, variable in PARAMETERS.items()},
            **CONTENDER.settings,
            "OPTIONS": CONTENDER.options,
        }
    },
    USE_TZ=True,
    ROOT_URLCONF="page",
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="-",
    MIDDLEWARE=[],
    INSTALLED_APPS=["django.contrib.contenttypes"],
    LOGGING_CONFIG=None,
)
django.setup()

from django.contrib.contenttypes.models import ContentType
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path


def page(_: HttpRequest) -> HttpResponse:
    """Some rows each time."""
    found = [len(ContentType.objects.filter(app_label="shop")[:5]) for _ in range(SELECTS)]
    return HttpResponse(str(found), content_type="text/plain")


sys.modules["page"] = sys.modules[__name__]
urlpatterns = [path("", page)]
application = get_wsgi_application()
