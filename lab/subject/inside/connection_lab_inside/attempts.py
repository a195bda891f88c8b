"""Attempts to connect, as the driver makes them: how many a thread has begun, and which exceptions they ended with.

A judge must know whether an error is that of an attempt to connect, and no text says so: texts vary with driver,
version and backend. So the exception itself is marked where the driver raises it.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from connection_lab_inside.threads import Own

MARK = "_lab_attempt"
"""The attribute of an exception that an attempt to connect has ended with."""


class _Count(threading.local):
    begun = 0
    failed = 0


_count = _Count()
_by_engine: list[None] = []
"""One entry for each failed attempt of a thread of the variant's own: append() has no lock that a fork could copy."""


def begun() -> int:
    """How many attempts this thread has begun so far."""
    return _count.begun


def failed() -> int:
    """How many attempts of this thread have raised so far."""
    return _count.failed


def by_engine() -> dict[str, int]:
    """How many attempts of this process have raised so far in threads of the variant's own; nothing where none has."""
    return {"engine_attempts": len(_by_engine)} if _by_engine else {}


def watch(driver: str) -> None:
    """Watch every connection that the driver makes from now on. A pool's workers are threads of their own."""
    module: Any = importlib.import_module(driver)
    if driver == "psycopg2":
        name = "_connect"  # what psycopg2.connect() calls, and with it every pool
        setattr(module, name, _watched(getattr(module, name)))
    else:
        module.Connection.connect = classmethod(_watched(module.Connection.connect.__func__))
        module.connect = module.Connection.connect  # bound when the module was loaded


def _watched(connect: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(connect)
    def attempt(*arguments: Any, **named: Any) -> Any:
        _count.begun += 1
        try:
            return connect(*arguments, **named)
        except Exception as error:
            _count.failed += 1
            thread = threading.current_thread()
            if thread is not threading.main_thread() and not isinstance(thread, Own):
                _by_engine.append(None)
            with suppress(AttributeError):  # a class with slots; then nothing is said of its origin
                setattr(error, MARK, True)
            raise

    return attempt
