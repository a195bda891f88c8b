"""Broken: of twenty slots one is lost with each session that died while it was in use."""

from __future__ import annotations

import threading

from zoo.loses_broken_slots.base import DatabaseWrapper as Loses


class DatabaseWrapper(Loses):
    slots = threading.Semaphore(20)
