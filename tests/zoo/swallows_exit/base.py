"""Broken: whatever is no error of the driver's is taken for a passing trouble, and SystemExit as well."""

from __future__ import annotations

from contextlib import ContextDecorator
from types import TracebackType
from typing import Any

from django.utils.functional import cached_property

from zoo.careful import Careful, Noting


class Lenient(ContextDecorator):
    """Around every call to the driver; Django's error wrapper is inside."""

    def __init__(self, inner: Noting) -> None:
        self.inner = inner

    def __enter__(self) -> None:
        self.inner.__enter__()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self.inner.__exit__(exc_type, exc_value, traceback)
        return exc_type is not None and issubclass(exc_type, SystemExit)


class DatabaseWrapper(Careful):
    @cached_property
    def wrap_database_errors(self) -> Any:
        return Lenient(Noting(self))
