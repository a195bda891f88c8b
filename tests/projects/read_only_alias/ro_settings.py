DATABASES = {
    "default": {"ENGINE": "django.db.backends.postgresql", "NAME": "x"},
    "replica": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "x",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"options": "-c default_transaction_read_only=on"},
    },
}
