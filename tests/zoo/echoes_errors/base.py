"""Broken: an error that the server has answered is raised once more at the next statement."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property


class Echo(DatabaseErrorWrapper):
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_type is not None:
            self.wrapper.echo = exc_value
        super().__exit__(exc_type, exc_value, traceback)


class DatabaseWrapper(Stock):
    echo: Any = None

    @cached_property
    def wrap_database_errors(self) -> Echo:
        return Echo(self)

    def _cursor(self, name: Any = None) -> Any:
        if self.echo is not None:
            echo, self.echo = self.echo, None
            raise echo
        return super()._cursor(name)
