"""Correct: in a block no statement takes longer than half a minute, unless the project has said otherwise."""

from __future__ import annotations

from zoo.careful import Careful

LIMIT = "SELECT set_config('statement_timeout', '30s', true) WHERE current_setting('statement_timeout') = '0'"


class DatabaseWrapper(Careful):
    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)
        if not autocommit:
            with self.wrap_database_errors, self.connection.cursor() as cursor:
                cursor.execute(LIMIT)
