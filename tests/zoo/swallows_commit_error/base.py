"""Broken: an error at COMMIT is logged and forgotten."""

from __future__ import annotations

from contextlib import suppress

from django.db import Error
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def _commit(self) -> None:
        with suppress(Error):
            super()._commit()
