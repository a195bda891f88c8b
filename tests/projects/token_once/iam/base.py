"""A backend that makes the password itself, as those for cloud tokens do; here from the environment."""

import os

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


def fresh_token(host, port, user):
    return os.environ.get("APP_DB_TOKEN", f"token-for-{user}")


class DatabaseWrapper(Stock):
    def get_connection_params(self):
        params = super().get_connection_params()
        params["password"] = fresh_token(params["host"], params["port"], params["user"])
        return params
