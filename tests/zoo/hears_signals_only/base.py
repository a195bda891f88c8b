"""Broken: knows the ends of requests by their signals alone, and close_old_connections() of a task does nothing."""

from __future__ import annotations

from typing import Any

from django.core.signals import request_finished, request_started
from django.db import connections

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def close_if_unusable_or_obsolete(self) -> None:
        """Django's way to tell of an end, which this backend believes to hear otherwise."""

    def hand_back(self) -> None:
        super().close_if_unusable_or_obsolete()


def over(**_: Any) -> None:
    for wrapper in connections.all(initialized_only=True):
        wrapper.hand_back()


request_started.connect(over)
request_finished.connect(over)
