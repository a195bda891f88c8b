"""Broken: sessions end after five requests, which is well, and one that was lost takes those of all aliases with it."""

from __future__ import annotations

from zoo.correct_ends_after_five.base import DatabaseWrapper as Ends
from zoo.fault_closes_all_aliases.base import DatabaseWrapper as Closes


class DatabaseWrapper(Closes, Ends):
    pass
