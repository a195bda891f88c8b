"""An ENGINE that looks at the environment for each connection."""

import os

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params):
        assert os.environ["PGHOST"]
        return super().get_new_connection(conn_params)
