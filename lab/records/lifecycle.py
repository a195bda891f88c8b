"""Lifecycles: what begins and ends a unit of work, and which of it Django is told.

A request is the only unit of work of which Django hears both ends. Everything else that uses the ORM is told less: a
management command never sends a signal, a task queue calls `close_old_connections()` where its authors thought of it,
a thread of an executor outlives the request that gave it work, and a stream's response is closed late or never.
"""

from __future__ import annotations

from typing import Final, Literal

Lifecycle = Literal["request", "command", "task-before", "task-after", "task", "thread", "stream"]
"""How the units of work of one actor begin and end; see `TELLS`."""

Tells = Literal["", "request_started", "request_finished", "close_old_connections"]
"""What Django is told at one end of a unit of work: one of its signals, a call of the function, or nothing."""

TELLS: Final[dict[Lifecycle, tuple[Tells, Tells]]] = {
    "request": ("request_started", "request_finished"),
    "command": ("", ""),
    "task-before": ("close_old_connections", ""),
    "task-after": ("", "close_old_connections"),
    "task": ("close_old_connections", "close_old_connections"),
    "thread": ("", ""),
    "stream": ("request_started", ""),
}
"""What is told at the begin and at the end of a unit. That of a stream is told by a `finish` step, if there is one."""

MOMENTS: Final[dict[Lifecycle, str]] = {
    "command": "in a command",
    "thread": "in an executor's thread",
    "task-before": "in a task, closed before",
    "task-after": "in a task, closed after",
    "task": "in a task, closed before and after",
    "stream": "in a stream",
}
"""What a report calls the moments of each lifecycle that is not a request's."""
