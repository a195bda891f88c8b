"""A project: its app's AppConfig.ready connects a receiver that sets each session up."""

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "shop",
        "USER": "shop",
        "PASSWORD": "x",
        "HOST": "db1.internal,db2.internal",
        "PORT": "5432,5432",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": True,
        "OPTIONS": {
            "sslmode": "verify-full",
            "sslrootcert": "/etc/ssl/db-ca.pem",
            "target_session_attrs": "read-write",
            "options": "-c statement_timeout=15000 -c lock_timeout=4000",
        },
    },
    "replica": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "shop",
        "USER": "shop_ro",
        "HOST": "replica.internal",
        "TEST": {"MIRROR": "default"},
    },
}
DATABASE_ROUTERS = ["shop.router.Router"]
INSTALLED_APPS = ["shop.apps.ShopConfig"]
USE_TZ = True
SECRET_KEY = "x"
