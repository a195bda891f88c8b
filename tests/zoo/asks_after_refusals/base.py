"""Broken: after each statement of a block it asks for the isolation level, so that a refusal is told by another error.

django-debug-toolbar #331: https://github.com/django-commons/django-debug-toolbar/pull/331
"""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(self.recorded)

    def recorded(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        try:
            return execute(sql, params, many, context)
        finally:
            if self.in_atomic_block and self.connection is not None:
                with self.wrap_database_errors:
                    self.connection.cursor().execute("SHOW transaction_isolation")
