"""Broken: close() rolls pending work back after any error, also after one that a savepoint has healed."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property

from zoo.correct_commits.base import DatabaseWrapper as Commits
from zoo.keeper import Keeper


class Noting(DatabaseErrorWrapper):
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.wrapper.erred |= exc_type is not None
        super().__exit__(exc_type, exc_value, traceback)


class DatabaseWrapper(Commits):
    erred = False

    @cached_property
    def wrap_database_errors(self) -> Noting:
        return Noting(self)

    def hand_back(self, raw: Any) -> None:
        erred, self.erred = self.erred, False
        if erred:
            Keeper.hand_back(self, raw)
        else:
            super().hand_back(raw)
