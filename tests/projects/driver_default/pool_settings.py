DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "x",
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 4}},
    }
}
