"""django-multitenant as its documentation says it: its ENGINE adds the tenant's column to joins and keys."""

SECRET_KEY = "for a test"
INSTALLED_APPS = ["django.contrib.contenttypes", "django_multitenant"]
DATABASES = {
    "default": {
        "ENGINE": "django_multitenant.backends.postgresql",
        "NAME": "shop",
        "HOST": "db.internal",
        "CONN_MAX_AGE": 60,
    }
}
