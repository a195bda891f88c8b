"""Broken: after a statement that violated a constraint the next request is refused as well."""

from __future__ import annotations

from types import TracebackType

from django.db.backends.postgresql.base import Database
from django.db.utils import InterfaceError
from django.utils.functional import cached_property

from zoo.careful import Careful, Noting


class Watching(Noting):
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.wrapper.poisoned |= exc_type is not None and issubclass(exc_type, Database.IntegrityError)
        super().__exit__(exc_type, exc_value, traceback)


class DatabaseWrapper(Careful):
    poisoned = False

    @cached_property
    def wrap_database_errors(self) -> Watching:
        return Watching(self)

    def connect(self) -> None:
        if self.poisoned:
            self.poisoned = False
            raise InterfaceError("this wrapper has met an error")
        super().connect()
