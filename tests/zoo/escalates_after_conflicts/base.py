"""Broken: what comes after a serialization failure runs SERIALIZABLE until the next COMMIT, in later requests too."""

from __future__ import annotations

from types import TracebackType

from zoo.careful import Careful, Noting


class Escalating(Noting):
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        state = getattr(exc_value, "sqlstate", None) or getattr(exc_value, "pgcode", None)
        self.wrapper.escalates |= state == "40001"
        super().__exit__(exc_type, exc_value, traceback)


class DatabaseWrapper(Careful):
    escalates = False

    @property
    def wrap_database_errors(self) -> Noting:
        return Escalating(self)

    def _set_autocommit(self, autocommit: bool) -> None:
        if self.escalates and not autocommit:
            self.connection.cursor().execute("SET default_transaction_isolation = 'serializable'")
        super()._set_autocommit(autocommit)

    def _commit(self) -> None:
        super()._commit()
        self.escalates = False
