"""django-db-geventpool as its README says it, without the patching that a gevent worker does."""

SECRET_KEY = "for a test"
INSTALLED_APPS = []
DATABASES = {
    "default": {
        "ENGINE": "django_db_geventpool.backends.postgresql_psycopg3",
        "NAME": "shop",
        "HOST": "db.internal",
        "ATOMIC_REQUESTS": False,
        "CONN_MAX_AGE": 0,
        "OPTIONS": {"MAX_CONNS": 4, "REUSE_CONNS": 2},
    }
}
