"""Broken: outside a block an UPDATE or DELETE that meets a lost session is sent again, as if it were idempotent."""

from __future__ import annotations

from zoo.sending_again import SendingAgain, SendsAgain


class Cursor(SendsAgain):
    words = ("UPDATE", "DELETE")


class DatabaseWrapper(SendingAgain):
    cursors = Cursor
