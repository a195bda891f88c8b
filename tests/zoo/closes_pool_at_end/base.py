"""Broken: the pool that the settings ask for is closed at the end of each request, and keeps nothing.

celery #10554: https://github.com/celery/celery/issues/10554
"""

from __future__ import annotations

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def close_if_unusable_or_obsolete(self) -> None:
        super().close_if_unusable_or_obsolete()
        self.close_pool()
