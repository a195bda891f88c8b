"""A small shop. `pytest --lab-postgres` needs no server; $SHOP_DATABASE (JSON) changes what is said of its database."""

import json
import os

SECRET_KEY = "of an example"
ALLOWED_HOSTS = ["*"]
STATIC_URL = "/static/"
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "shop"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    *json.loads(os.environ.get("SHOP_MIDDLEWARE", "[]")),
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "shop",
        **json.loads(os.environ.get("SHOP_DATABASE", "{}")),
    },
    **json.loads(os.environ.get("SHOP_DATABASES", "{}")),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
