"""Broken: asks before each use, but only while a request is served; a command stays dead."""

from __future__ import annotations

from typing import Any

from django.core.signals import request_finished, request_started

from zoo.correct_pings_everywhere.base import DatabaseWrapper as Correct

SERVING: set[int] = set()


def begin(**_: Any) -> None:
    SERVING.add(1)


def end(**_: Any) -> None:
    SERVING.discard(1)


request_started.connect(begin)
request_finished.connect(end)


class DatabaseWrapper(Correct):
    def replace_dead(self) -> None:
        if SERVING:
            super().replace_dead()
