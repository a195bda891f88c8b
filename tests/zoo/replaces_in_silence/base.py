"""Broken: a statement outside of blocks that meets a lost session is sent again on a new one, and nothing is said."""

from __future__ import annotations

from typing import Any

from django.db.utils import InterfaceError, OperationalError

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(self.again)

    def again(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        try:
            return execute(sql, params, many, context)
        except (OperationalError, InterfaceError):
            if self.in_atomic_block or not self.get_autocommit():
                raise
            self.connection.close()
            self.connection = None
            self.connect()
            context["cursor"].cursor = self.create_cursor()
            return execute(sql, params, many, context)
