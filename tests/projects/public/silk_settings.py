"""django-silk, which patches Django's SQL compiler, and django-pghistory, whose tracker adds to each statement."""

SECRET_KEY = "for a test"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "pgtrigger",
    "pghistory",
    "silk",
]
MIDDLEWARE = ["pghistory.middleware.HistoryMiddleware", "silk.middleware.SilkyMiddleware"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "HOST": "db.internal", "CONN_MAX_AGE": None}
}
