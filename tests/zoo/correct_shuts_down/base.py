"""Correct: when its process is told to stop (SIGTERM), its own handler closes what waits, and exits with status 0."""

from __future__ import annotations

import signal
import sys
from typing import Any

from django.db import connections

from zoo.careful import Careful as DatabaseWrapper


def shut_down(*_: Any) -> None:
    for wrapper in connections.all(initialized_only=True):
        if isinstance(wrapper, DatabaseWrapper):
            wrapper.close_waiting()
    sys.exit(0)


signal.signal(signal.SIGTERM, shut_down)

__all__ = ["DatabaseWrapper"]
