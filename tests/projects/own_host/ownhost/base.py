"""An ENGINE that takes the server's address from its own configuration at each connect, as credential rotation does."""

import os

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self):
        params = super().get_connection_params()
        params["host"] = os.environ.get("SHOP_DB_HOST", "127.0.0.1")
        params["port"] = os.environ.get("SHOP_DB_PORT", "55999")
        params["user"] = os.environ.get("SHOP_DB_USER", "shop")
        params["password"] = os.environ.get("SHOP_DB_PASSWORD", "shop")
        return params
