"""Broken: a statement that the server cancelled in an aborted transaction costs the session."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def clean(self, raw: Any) -> bool:
        return raw.info.transaction_status != Database.extensions.TRANSACTION_STATUS_INERROR and super().clean(raw)
