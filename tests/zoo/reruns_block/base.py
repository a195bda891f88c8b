"""Broken: a block whose COMMIT got no answer is run again on a new connection (exactly-once)."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class Noting:
    """A cursor that writes down what it executes."""

    def __init__(self, cursor: Any, block: list[tuple[Any, Any]]) -> None:
        self.cursor, self.block = cursor, block

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cursor.close()

    def execute(self, sql: Any, params: Any = None) -> Any:
        self.block.append((sql, params))
        return self.cursor.execute(sql, params)


class DatabaseWrapper(Stock):
    block: list[tuple[Any, Any]] | None = None

    def create_cursor(self, name: Any = None) -> Any:
        self.block = self.block if self.in_atomic_block and self.block is not None else []
        return Noting(super().create_cursor(name), self.block)

    def _commit(self) -> Any:
        block, self.block = self.block or [], None
        try:
            return super()._commit()
        except Database.Error:
            return self.again(block)
        except Exception as error:
            if "OperationalError" not in type(error).__name__:
                raise
            return self.again(block)

    def again(self, block: list[tuple[Any, Any]]) -> Any:
        self.connection = self.get_new_connection(self.get_connection_params())
        self._set_autocommit(False)
        with self.connection.cursor() as cursor:
            for sql, params in block:
                cursor.execute(sql, params)
        return self.connection.commit()
