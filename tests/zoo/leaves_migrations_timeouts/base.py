"""Broken: the schema editor's timeouts are put back where its work was done, and stay where an error ended it."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from django.db.backends.postgresql.schema import DatabaseSchemaEditor

from zoo.careful import Careful


class Editor(DatabaseSchemaEditor):
    def __enter__(self) -> Any:
        with self.connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'; SET statement_timeout = '3s'")
        return super().__enter__()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(exc_type, exc_value, traceback)
        if exc_type is None:
            with self.connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout; RESET statement_timeout")


class DatabaseWrapper(Careful):
    SchemaEditorClass = Editor
