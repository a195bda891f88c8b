"""Correct: a connection for each thread, checked when it is taken up, rolled back when it is handed back."""

from __future__ import annotations

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    pass
