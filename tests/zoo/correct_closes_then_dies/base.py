"""Correct: told to stop, its own handler closes what waits; then the signal does what it always does."""

from __future__ import annotations

import os
import signal
from typing import Any

from django.db import connections

from zoo.careful import Careful as DatabaseWrapper


def close_then_die(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for wrapper in connections.all(initialized_only=True):
        if isinstance(wrapper, DatabaseWrapper):
            wrapper.close_waiting()
    os.kill(os.getpid(), signal.SIGTERM)


signal.signal(signal.SIGTERM, close_then_die)

__all__ = ["DatabaseWrapper"]
