"""An ENGINE that makes the password itself, as the IAM, AAD and Vault backends do."""

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self):
        params = super().get_connection_params()
        params["password"] = "token-from-the-cloud"
        return params
