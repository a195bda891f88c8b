"""The published snippet, implements persistent database connection using global variable. As published, bugs included.

The smallest change that makes it run on Django 4.2 to 6.x: the module's name is `postgresql` now, and what stood in
`_cursor` stands in `ensure_connection`, where all connections have been made since `atomic()` connects on its own.
"""

from django.db.backends.postgresql.base import DatabaseWrapper as BaseDatabaseWrapper
from psycopg2 import OperationalError

connection = None


class DatabaseWrapper(BaseDatabaseWrapper):
    def ensure_connection(self):
        global connection
        if connection is not None and self.connection is None:
            try:  # Check if connection is alive
                connection.cursor().execute("SELECT 1")
            except OperationalError:  # The connection is not working, need reconnect
                connection = None
            else:
                self.connection = connection
        super().ensure_connection()
        if connection is None and self.connection is not None:
            connection = self.connection

    def close(self):
        if self.connection is not None:
            self.connection.commit()
            self.connection = None
