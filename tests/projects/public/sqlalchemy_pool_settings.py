"""django-db-connection-pool as its README says it: SQLAlchemy's QueuePool under Django."""

SECRET_KEY = "for a test"
INSTALLED_APPS = []
DATABASES = {
    "default": {
        "ENGINE": "dj_db_conn_pool.backends.postgresql",
        "NAME": "shop",
        "HOST": "db.internal",
        "POOL_OPTIONS": {"POOL_SIZE": 4, "MAX_OVERFLOW": 0, "RECYCLE": 24 * 60 * 60},
    }
}
