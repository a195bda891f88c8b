"""Broken: keeps spares as it should, but a session that has met an error is put aside and never closed."""

from __future__ import annotations

from zoo.correct_keeps_idle_spares.base import DatabaseWrapper as Spares
from zoo.leaks_replaced.base import DatabaseWrapper as Leaks


class DatabaseWrapper(Leaks, Spares):
    pass
