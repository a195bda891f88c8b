"""Uses a library that looks at django.conf.settings while the settings module is being imported (dynaconf does)."""

import os

SECRET_KEY = "x"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "CONN_MAX_AGE": 60}}

from django.conf import settings  # noqa: E402

if os.environ.get("DJANGO_SETTINGS_MODULE"):
    settings.DEBUG  # noqa: B018
