"""Which databases this test run has made: the only ones whose tables the lab restores and whose sessions it ends.

`watch` is called before test databases are made: by the pytest plugin when the session starts, and by `lab.application`
when a test module imports it.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

_made: set[str] = set()


def watch() -> None:
    """From now on take down the name of each database that Django's test set-up makes, or keeps from an earlier run."""
    from django.db.backends.base.creation import BaseDatabaseCreation  # noqa: PLC0415  # the plugin loads without Django

    original = BaseDatabaseCreation.create_test_db
    if hasattr(original, "watched_by_lab"):
        return

    @wraps(original)
    def create_test_db(self: Any, *args: Any, **kwargs: Any) -> str:
        name = original(self, *args, **kwargs)
        _made.add(str(name))
        return name

    create_test_db.watched_by_lab = True  # type: ignore[attr-defined]
    BaseDatabaseCreation.create_test_db = create_test_db  # type: ignore[method-assign]


def made(name: object) -> bool:
    """Whether it is one of them, or a copy of one that a worker of a parallel run was given."""
    text = str(name)
    return text in _made or text.rpartition("_")[0] in _made
