def lost(pool):
    print("no connection could be had for", pool.name)


DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "x",
        "OPTIONS": {
            "connect_timeout": 3,
            "pool": {"min_size": 2, "max_size": 4, "timeout": 5, "reconnect_failed": lost},
        },
    }
}
