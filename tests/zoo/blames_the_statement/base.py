"""Broken: that a session was lost under a statement is told as an error of the statement."""

from __future__ import annotations

from types import TracebackType

from django.db.backends.postgresql.base import Database
from django.db.utils import ProgrammingError
from django.utils.functional import cached_property

from zoo.careful import Careful, Noting


class Blaming(Noting):
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        raw = self.wrapper.connection
        if exc_type is not None and issubclass(exc_type, Database.OperationalError) and raw is not None and raw.closed:
            self.wrapper.errors_occurred = True
            raise ProgrammingError("no results to fetch") from None
        super().__exit__(exc_type, exc_value, traceback)


class DatabaseWrapper(Careful):
    @cached_property
    def wrap_database_errors(self) -> Noting:
        return Blaming(self)
