"""Broken: outside a block, what begins with SELECT or WITH and meets a lost session is sent again on a new one."""

from __future__ import annotations

from zoo.sending_again import SendingAgain, SendsAgain


class Cursor(SendsAgain):
    words = ("SELECT", "WITH")


class DatabaseWrapper(SendingAgain):
    cursors = Cursor
