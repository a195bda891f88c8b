"""Stock Django, but a COMMIT that can no longer be sent is refused in words of its own, before anything is sent."""

from __future__ import annotations

import select
from typing import Any

from django.db import OperationalError
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


def hung_up(raw: Any) -> bool:
    poll = select.poll()
    poll.register(raw.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))


class DatabaseWrapper(Stock):
    def _commit(self) -> None:
        if self.connection is not None and not self.connection.closed and hung_up(self.connection):
            raise OperationalError("this transaction was not saved, its session is gone")
        super()._commit()  # type: ignore[misc]  # Django's stubs leave it out
