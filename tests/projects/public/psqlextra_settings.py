"""django-postgres-extra as its documentation says it."""

SECRET_KEY = "for a test"
INSTALLED_APPS = ["django.contrib.postgres", "psqlextra"]
POSTGRES_EXTRA_AUTO_EXTENSION_SET_UP = False
DATABASES = {"default": {"ENGINE": "psqlextra.backend", "NAME": "shop", "HOST": "db.internal", "CONN_MAX_AGE": None}}
