"""An exception as data: its class, its SQLSTATE, where it comes from, and its causes."""

from __future__ import annotations

import itertools
import sys
import traceback
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from connection_lab_inside.attempts import MARK

_KNOWN = ("django", "psycopg", "psycopg2", "psycopg_pool", "builtins")
_LONGEST = 8
_TEXT = 500
COMMIT = ("commit", "_commit")
"""The functions below which Django, and every ENGINE that it calls, sends COMMIT."""


LEAVES = ("django.db.transaction", "__exit__")
_NOT_THEIRS = {*_KNOWN, "asgiref", "connection_lab_inside", *sys.stdlib_module_names}
"""Packages whose lines say nothing of the variant's own code."""


class Interrupted(Exception):
    """Raised by the signal handler in whatever the main actor is doing, as a worker's time limit does."""


class InterruptedBase(BaseException):
    """The same, and no Exception: handlers of those do not see it."""


class Exiting(SystemExit):
    """Raised by a handler that ends its process in an orderly way."""


SIGNALLED = (Interrupted, InterruptedBase, Exiting)


def chain_of(error: BaseException) -> list[dict[str, Any]]:
    """The exception and its explicit causes, then what is only in a `__context__`; at most eight links of each.

    An `except` clause, a retry and a log line's class see what leaves and, by `__cause__`, what it says it was raised
    from. What was merely being handled at the time (also after `from None`) is marked `hidden`; the latest comes first.
    """
    visible = list(_causes(error))[:_LONGEST]
    seen = {id(each) for each in visible}
    hidden: list[BaseException] = []
    waiting = [each.__context__ for each in visible]
    while waiting and len(hidden) < _LONGEST:
        current = waiting.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        hidden.append(current)
        waiting += [current.__cause__, current.__context__]
    return [_link(each) for each in visible] + [{**_link(each), "hidden": True} for each in hidden]


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__


def _link(error: BaseException) -> dict[str, Any]:
    cls = type(error)
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
    link: dict[str, Any] = {"cls": _name(cls), "text": str(error)[:_TEXT].strip()}
    if state:
        link["sqlstate"] = str(state)
    if not _known(cls):
        link["base"] = next(_name(each) for each in cls.__mro__ if _known(each))
    if getattr(error, MARK, False):
        link["origin"] = "connect"
    elif isinstance(error, SIGNALLED):
        link["origin"] = "signal"
    elif any(frame.f_code.co_name in COMMIT for frame, _ in traceback.walk_tb(error.__traceback__)):
        link["origin"] = "commit"
    if _leaving(error):
        link["leaving"] = True
    if where := _where(error):
        link["where"] = where
    return link


def _where(error: BaseException) -> str:
    """The last line of the variant's own code that it came through, as `folder/file.py:12`; "" where there is none."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] not in _NOT_THEIRS:
            return f"{'/'.join(PurePath(frame.f_code.co_filename).parts[-2:])}:{line}"
    return ""


def _leaving(error: BaseException) -> bool:
    """Whether it has come through `set_autocommit`, which Django's atomic() itself has called at its end."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(
        (outer.f_globals.get("__name__"), outer.f_code.co_name) == LEAVES and inner.f_code.co_name == "set_autocommit"
        for outer, inner in itertools.pairwise(frames)
    )


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _known(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in _KNOWN
