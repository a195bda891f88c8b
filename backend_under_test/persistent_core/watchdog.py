"""A deadline on the client's side for calls that block inside libpq.

A proxy or NAT that acknowledges but never forwards defeats keepalive, tcp_user_timeout and statement_timeout alike.
So one daemon thread per process looks at the deadlines that callers leave on their sessions, and shuts down the socket
of any that has passed: the blocked call returns at once with the driver's own error. Arming is one attribute store, so
the common case has neither a thread switch nor a lock.
"""

from __future__ import annotations

import time
from typing import Protocol
from weakref import ReferenceType, ref

from backend_under_test.persistent_core import native

PERIOD = 0.2
"""Seconds between two looks: how late a deadline may be noticed."""
LINGER = 10.0
"""Seconds without any armed deadline after which the thread sleeps until woken, so that an idle process stays idle."""


class Watched(Protocol):
    """What has a deadline."""

    deadline: float | None

    def look(self, now: float) -> None:
        """Called by the watchdog's thread at each look while `deadline` is set."""

    def expire(self, now: float) -> None:
        """Called by the watchdog's thread once `deadline` has passed; must check it again under its lock."""


class Watchdog:
    """Watches all sessions of a process. The thread starts with the first deadline."""

    def __init__(self) -> None:
        self.asleep = True
        """Whether the thread waits to be woken. A caller that arms a deadline reads it without a lock: a stale False is
        harmless, because the thread looks once more after setting it True."""
        self._watched: dict[int, ReferenceType[Watched]] = {}
        self._renew()

    def _renew(self) -> None:
        self._lock = native.lock()
        self._bell = native.Bell()
        self._ended: native.Lock | None = None
        """Held by the thread while it runs; None when there is none."""
        self._stopping = False

    def watch(self, one: Watched) -> None:
        """From now on, until it is garbage or ignored."""
        self._watched[id(one)] = ref(one)

    def ignore(self, one: Watched) -> None:
        """No longer."""
        self._watched.pop(id(one), None)

    def all(self) -> list[Watched]:
        """Those watched now. list() of a dict's values runs no Python code, so no other thread can come between."""
        return [one for one in (each() for each in list(self._watched.values())) if one is not None]

    def wake(self) -> None:
        """Called after arming a deadline when `asleep`."""
        with self._lock:
            self.asleep = False
            if self._ended is None or self._ended.acquire(blocking=False):  # none, or an error has ended it
                self._stopping = False
                self._ended = native.lock()
                self._ended.acquire()
                try:
                    native.start(self._run)
                except RuntimeError:  # the interpreter is shutting down: its last calls have no deadline
                    self._ended = None
        self._bell.ring()

    def stop(self) -> None:
        """End the thread; `wake` starts it again. Before a fork: a thread that vanishes may leave a lock held."""
        ended = self._ended
        if ended is not None:
            self._stopping = True
            self._bell.ring()
            ended.acquire(timeout=1.0)
            self._ended = None
        self.asleep = True

    def reborn(self) -> None:
        """In a forked child: nothing of the parent's is watched, and its locks may be held by threads not here."""
        self.asleep = True
        self._watched = {}
        self._renew()

    def _run(self) -> None:
        ended = self._ended
        try:
            self._look_on()
        finally:
            if ended is not None:
                ended.release()

    def _look_on(self) -> None:
        quiet_since = time.monotonic()
        while not self._stopping:
            now = time.monotonic()
            if self._look(now):
                quiet_since = now
            if now - quiet_since < LINGER:
                self._bell.wait(PERIOD)  # not a sleep: stop() must not wait for it
                continue
            self.asleep = True
            # The race: a caller armed after the look above and read `asleep` before it turned True. So look again.
            if not self._look(time.monotonic()):
                self._bell.wait()
            self.asleep = False
            quiet_since = time.monotonic()

    def _look(self, now: float) -> bool:
        """Expire what is due; whether any deadline is armed."""
        armed = False
        for key, each in list(self._watched.items()):
            one = each()
            if one is None:
                # Keyed by id, which a new session may already have taken: only the same reference goes.
                if self._watched.get(key) is each:
                    self._watched.pop(key, None)
                continue
            deadline = one.deadline
            if deadline is not None:
                armed = True
                one.look(now)
                if now >= deadline:
                    one.expire(now)
        return armed


dog = Watchdog()
"""The watchdog of this process."""
