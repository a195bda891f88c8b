"""Threads of the lab's own in a subject's process, and those that are not: of a pool that opens sessions, for one."""

from __future__ import annotations

import threading


class Own(threading.Thread):
    """A thread of the lab's own."""


def others() -> list[str]:
    """The names of the threads that are neither the main one nor the lab's own."""
    return [
        each.name for each in threading.enumerate() if each is not threading.main_thread() and not isinstance(each, Own)
    ]
