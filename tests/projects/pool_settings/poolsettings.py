"""As many 5.1+ projects: the native pool, options as psycopg_pool takes them (a callable among them)."""

from psycopg_pool import ConnectionPool

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "x",
        "HOST": "db",
        "OPTIONS": {
            "pool": {
                "min_size": 2,
                "max_size": 4,
                "timeout": 5,
                "max_lifetime": 1800,
                "max_idle": 300,
                "check": ConnectionPool.check_connection,
            }
        },
    }
}
