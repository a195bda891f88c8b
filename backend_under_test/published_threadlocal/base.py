"""The published snippet: implements persistent database connection using thread local storage, bugs included.

The smallest change that makes it run on Django 4.2 to 6.x: the module's name is `postgresql` now, and what stood in
`_cursor` stands in `ensure_connection`, where all connections have been made since `atomic()` connects on its own.

What the lab has shown of it (`lab check published_threadlocal`; each has a plan in tests/regressions/ that replays):

recovers          a connection that dies while a request uses it stays for ever: close() commits on it, which raises,
                  and the wrapper keeps it; every later request fails at its start.
aborts-cleanly    close() inside atomic() commits half the block; so does a request that ends inside one.
atomic, durable   what is written in a block after close() belongs to another transaction; an error that the
                  application catches inside a block turns COMMIT into a silent ROLLBACK.
idle-after-close  a BEGIN sent by hand stays open: with autocommit on, commit() sends nothing.
bounded-wait      a server that goes silent is waited for without end, while connecting, checking and asking.
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
