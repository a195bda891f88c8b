"""Broken: a forked child lets go of its parent's sessions of the alias "default", and of no other."""

from __future__ import annotations

import os
from typing import Any

from django.db import connections

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    @property
    def shelf(self) -> list[Any]:
        return self.shelves[os.getpid() if self.alias == "default" else 0, self.alias]


KEPT: list[Any] = []


def before() -> None:
    KEPT[:] = [(each, each.connection) for each in connections.all(initialized_only=True) if each.alias != "default"]


def after() -> None:
    for wrapper, raw in KEPT:
        wrapper.connection = raw


os.register_at_fork(before=before, after_in_child=after)  # after the careful one's, which forgets all
