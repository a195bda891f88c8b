"""OPTIONS that name a role, a service, files, and functions, as production settings do."""

import psycopg2.extensions


class Cursor(psycopg2.extensions.cursor):
    pass


DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "shop",
        "OPTIONS": {
            "service": "shop",
            "passfile": ".pgpass",
            "sslcert": "/nonexistent/client.crt",
            "sslkey": "/nonexistent/client.key",
            "sslrootcert": "/nonexistent/root.crt",
            "sslmode": "verify-full",
            "assume_role": "shop_owner",
            "cursor_factory": Cursor,
            "isolation_level": 3,
        },
    }
}
