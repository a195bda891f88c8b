"""Broken: a forked process closes the descriptors of what it has inherited, and goes on with the connections.

celery #5483: https://github.com/celery/celery/issues/5483
"""

from __future__ import annotations

import os

from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def close_if_unusable_or_obsolete(self) -> None:
        """Kept: nothing is old here, and a connection counts as usable until an error has come up."""
        if self.errors_occurred:
            self.close()


def after_fork() -> None:
    """Close each descriptor, so that no goodbye reaches the server in the parent's name."""
    for connection in connections.all(initialized_only=True):
        if isinstance(connection, DatabaseWrapper) and connection.connection is not None:
            os.close(connection.connection.fileno())
            connection.close_if_unusable_or_obsolete()


os.register_at_fork(after_in_child=after_fork)
