DATABASES = {
    "default": {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "CONN_MAX_AGE": 60, "ATOMIC_REQUESTS": True}
}
