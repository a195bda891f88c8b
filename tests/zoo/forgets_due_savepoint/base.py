"""Broken: SAVEPOINT is sent with the first statement of its block, and of several that are due only the last one is."""

from __future__ import annotations

from typing import Any

from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Sending(CursorWrapper):
    def _execute(self, *args: Any) -> Any:
        self.db.send_due()
        return super()._execute(*args)


class DatabaseWrapper(Careful):
    due = ""
    sent: tuple[str, ...] = ()

    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return Sending(cursor, self)

    def send_due(self) -> None:
        if self.due:
            sid, self.due = self.due, ""
            self.sent = (*self.sent, sid)
            super()._savepoint(sid)

    def _savepoint(self, sid: str) -> None:
        self.due = sid

    def _savepoint_rollback(self, sid: str) -> None:
        self.due = ""
        if sid in self.sent:
            super()._savepoint_rollback(sid)

    def _savepoint_commit(self, sid: str) -> None:
        self.due = ""
        if sid in self.sent:
            super()._savepoint_commit(sid)
