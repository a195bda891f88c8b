"""django-postgrespool2 as its README says it."""

SECRET_KEY = "for a test"
INSTALLED_APPS = []
DATABASE_POOL_CLASS = "sqlalchemy.pool.QueuePool"
DATABASE_POOL_ARGS = {"max_overflow": 0, "pool_size": 4, "recycle": 300}
DATABASES = {"default": {"ENGINE": "django_postgrespool2", "NAME": "shop", "HOST": "db.internal"}}
