"""Django 5.1+ project with the native pool, nothing else."""

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "x",
        "HOST": "db",
        "OPTIONS": {"pool": {"min_size": 2, "max_size": 4, "timeout": 5}},
    }
}
