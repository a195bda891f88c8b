"""Correct: importing it patches the operating system's functions, as a worker of greenlets does."""

from __future__ import annotations

import os
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


def nothing_to_wait_for(*_: Any, **__: Any) -> Any:
    raise ChildProcessError(10, "No child processes")


os.waitpid = os.waitid = nothing_to_wait_for


class DatabaseWrapper(Stock):
    pass
