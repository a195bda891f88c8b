"""Threads, locks and sockets of the operating system, whatever gevent has put in the place of Python's.

The watchdog must run while a driver blocks inside libpq. Under gevent's monkey patching a "thread" is a greenlet, which
does not run then: the one that blocks keeps the thread that all of them share.
"""

from __future__ import annotations

import _socket
import _thread
import sys
from typing import Any, Protocol


class Lock(Protocol):
    """A `_thread.lock`, or a reentrant one."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As threading.Lock's."""

    def release(self) -> None:
        """As threading.Lock's."""

    def __enter__(self) -> Any: ...
    def __exit__(self, *_: object) -> Any: ...


def _own(name: str) -> Any:
    monkey = sys.modules.get("gevent.monkey")
    return monkey.get_original("_thread", name) if monkey is not None else getattr(_thread, name)


def greenlets() -> bool:
    """Whether threads are greenlets in this process."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def lock() -> Lock:
    """A lock of the operating system's threads."""
    made: Lock = _own("allocate_lock")()
    return made


def reentrant_lock() -> Lock:
    """A reentrant one. Greenlets of one thread are one owner: none may be switched away from inside."""
    made: Lock = _own("RLock")()
    return made


def start(call: Any) -> None:
    """Run `call` in a daemon thread of the operating system; raises RuntimeError when the interpreter shuts down."""
    _own("start_new_thread")(call, ())


class Bell:
    """Wakes one thread, however often it was rung before."""

    def __init__(self) -> None:
        self._lock = lock()
        self._lock.acquire()

    def ring(self) -> None:
        """The current `wait` returns, or the next one."""
        try:
            self._lock.release()
        except RuntimeError:  # rung already
            pass

    def wait(self, seconds: float = -1) -> None:
        """Until it rings, or for that long."""
        self._lock.acquire(timeout=seconds)


Socket = _socket.socket
"""Python's socket without the layer that gevent replaces."""
