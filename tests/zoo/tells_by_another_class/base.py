"""Broken: a unique key that is there already is told as a DatabaseError, so get_or_create() does not know it."""

from __future__ import annotations

from types import TracebackType

from django.db.utils import DatabaseError, IntegrityError
from django.utils.functional import cached_property

from zoo.careful import Careful, Noting


class Plain(Noting):
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            super().__exit__(exc_type, exc_value, traceback)
        except IntegrityError as error:
            raise DatabaseError(*error.args) from error.__cause__


class DatabaseWrapper(Careful):
    @cached_property
    def wrap_database_errors(self) -> Plain:
        return Plain(self)
