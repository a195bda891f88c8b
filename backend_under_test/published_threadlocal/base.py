"""The published snippet, implements persistent database connection using thread local storage. As published, bugs included.

The smallest change that makes it run on Django 4.2 to 6.x: the module's name is `postgresql` now, and what stood in
`_cursor` stands in `ensure_connection`, where all connections have been made since `atomic()` connects on its own.
"""

from threading import local

from django.db.backends.postgresql.base import DatabaseWrapper as BaseDatabaseWrapper
from psycopg2 import OperationalError

threadlocal = local()


class DatabaseWrapper(BaseDatabaseWrapper):
    def ensure_connection(self):
        if getattr(threadlocal, "connection", None) is not None and self.connection is None:
            try:  # Check if connection is alive
                threadlocal.connection.cursor().execute("SELECT 1")
            except OperationalError:  # The connection is not working, need reconnect
                threadlocal.connection = None
            else:
                self.connection = threadlocal.connection
        super().ensure_connection()
        if getattr(threadlocal, "connection", None) is None and self.connection is not None:
            threadlocal.connection = self.connection

    def close(self):
        if self.connection is not None:
            self.connection.commit()
            self.connection = None
