"""Broken: of four slots one is lost with each request that something else than a database error has interrupted."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.utils import Error
from django.utils.functional import cached_property

from zoo.careful import Noting
from zoo.slotted import Slotted


class Strict(Noting):
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_type is not None and not issubclass(exc_type, (Database.Error, Error)):
            self.wrapper.broken_off = True
        super().__exit__(exc_type, exc_value, traceback)


class DatabaseWrapper(Slotted):
    slots = threading.Semaphore(4)
    broken_off = False

    @cached_property
    def wrap_database_errors(self) -> Noting:
        return Strict(self)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        self.broken_off = False
        return super().get_new_connection(conn_params)

    def _close(self) -> None:
        raw = self.connection
        if raw is not None and self.broken_off:
            raw.close()
            return
        super()._close()
        if raw is not None:
            self.slots.release()
