"""Broken: as renews_in_a_block, and the age is counted by dates, as Django's own timezone.now() tells them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    born = datetime.min.replace(tzinfo=UTC)

    def fresh(self, conn_params: dict[str, Any]) -> Any:
        self.born = timezone.now()
        return super().fresh(conn_params)

    def _cursor(self, name: str | None = None) -> Any:
        if self.connection is not None and datetime.now(UTC) - self.born > timedelta(days=1):
            old, self.connection = self.connection, self.fresh(self.get_connection_params())
            self.connection.autocommit = old.autocommit
            old.close()
        return super()._cursor(name)
