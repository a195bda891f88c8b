"""Broken: sessions end after five requests, which is well, and at any error, which is not."""

from __future__ import annotations

from zoo.correct_ends_after_five.base import DatabaseWrapper as Ends
from zoo.errors_cost_sessions.base import DatabaseWrapper as Costs


class DatabaseWrapper(Costs, Ends):
    pass
