"""Broken: a session is checked before a request's first statement, and .iterator() makes its cursors another way."""

from __future__ import annotations

from typing import Any

from zoo.checking_later import CheckingLater


class DatabaseWrapper(CheckingLater):
    def cursor(self) -> Any:
        self.check()
        return super().cursor()
