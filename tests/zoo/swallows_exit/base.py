"""Broken: takes every exception that leaves the driver for a passing trouble, and SystemExit as well."""

from __future__ import annotations

from types import TracebackType

from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property

from zoo.careful import Careful, Noting


class Lenient(Noting):
    """Django's error wrapper, which lets through what is an error of the driver's."""

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        super().__exit__(exc_type, exc_value, traceback)
        return exc_type is not None and issubclass(exc_type, SystemExit)


class DatabaseWrapper(Careful):
    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        return Lenient(self)
