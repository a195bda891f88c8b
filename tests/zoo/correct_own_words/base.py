"""Correct: a lost session is told in words of its own, by a subclass of OperationalError that has the cause."""

from __future__ import annotations

from types import TracebackType

from django.db.utils import OperationalError
from django.utils.functional import cached_property

from zoo.careful import Careful, Noting


class VerbindungWeg(OperationalError):
    """The session is gone."""


class Telling(Noting):
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            super().__exit__(exc_type, exc_value, traceback)
        except OperationalError as error:
            raw = self.wrapper.connection
            if isinstance(error, VerbindungWeg) or raw is None or not raw.closed:
                raise
            raise VerbindungWeg("Die Sitzung ist weg; was offen war, gilt nicht") from exc_value


class DatabaseWrapper(Careful):
    @cached_property
    def wrap_database_errors(self) -> Telling:
        return Telling(self)
