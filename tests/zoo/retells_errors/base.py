"""Broken: an error is told by its text alone, in a class of its own and without the one that was its cause."""

from __future__ import annotations

from types import TracebackType

from django.db.backends.postgresql.base import Database
from django.utils.functional import cached_property

from zoo.careful import Careful, Noting


class BackendError(Exception):
    pass


class Retelling(Noting):
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if (
            exc_type is not None
            and issubclass(exc_type, Database.OperationalError)
            and self.wrapper.connection is not None
            and self.wrapper.connection.closed
        ):
            self.wrapper.errors_occurred = True
            raise BackendError(str(exc_value)) from None
        super().__exit__(exc_type, exc_value, traceback)


class DatabaseWrapper(Careful):
    @cached_property
    def wrap_database_errors(self) -> Noting:
        return Retelling(self)
