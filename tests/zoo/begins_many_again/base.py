"""Broken: outside a block an executemany() that meets a lost session begins again with its first row."""

from __future__ import annotations

from zoo.sending_again import SendingAgain, SendsAgain


class Cursor(SendsAgain):
    many = True


class DatabaseWrapper(SendingAgain):
    cursors = Cursor
