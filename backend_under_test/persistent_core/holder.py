"""Holders: which wrapper may have which session. One session per process, or one per thread.

Both keep what belongs to a thread in that thread's own storage, so that the end of a thread closes its sessions at
once: storage goes by reference count, while a wrapper is part of a cycle and waits for the garbage collector.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, Protocol
from weakref import ReferenceType, WeakSet, ref

from asgiref.sync import SyncToAsync
from django.db.utils import OperationalError

from backend_under_test.persistent_core import native
from backend_under_test.persistent_core.session import Session
from backend_under_test.persistent_core.watchdog import dog

if TYPE_CHECKING:
    from backend_under_test.persistent_core.wrapper import PersistentWrapper


class SessionInUse(OperationalError):
    """The process's one session serves a request in another thread."""

    def __init__(self, alias: str, thread: str) -> None:
        super().__init__(
            f"The one session that this process keeps for {alias!r} is in use by thread {thread!r}: persistent_global "
            "is for processes that serve one request at a time. Use the ENGINE persistent_threadlocal, or a server "
            "with one thread per process (gunicorn: --threads 1)."
        )


class Holder(Protocol):
    """Where sessions wait between requests. Every method may be called by any thread."""

    def take(self, wrapper: PersistentWrapper, fingerprint: Any) -> Session | None:
        """A parked session made for this configuration, or None: then the caller connects. Raises SessionInUse.

        Either way the caller must end with `put` or `release`.
        """

    def put(self, wrapper: PersistentWrapper, session: Session) -> bool:
        """Park it; False when there is no place and the caller must dispose of it."""

    def release(self, wrapper: PersistentWrapper) -> None:
        """The wrapper has no session any more, and parks none."""

    def idle(self) -> list[Session]:
        """Take out all that are parked."""

    def forget(self) -> None:
        """In a forked child: whatever is here is the parent's."""


class _Thread:
    """Stands for a running thread. It is kept in that thread's own storage, and is collected when the thread ends."""

    def __init__(self) -> None:
        self.name = threading.current_thread().name
        self.in_use: dict[int, ReferenceType[Session]] = {}
        self.parked: dict[str, Session] = {}
        """By alias (persistent_threadlocal)."""
        self.pid = os.getpid()

    def __del__(self) -> None:
        if self.pid != os.getpid():
            return
        for alias in list(self.parked):
            # pop: another thread may be taking it over at this moment.
            parked = self.parked.pop(alias, None)
            if parked is not None:
                parked.dispose()
        for session in [each() for each in list(self.in_use.values())]:
            wrapper = session.wrapper() if session is not None and session.wrapper is not None else None
            if session is not None and not (wrapper is not None and wrapper.allow_thread_sharing):
                session.dispose()


_local = threading.local()
_threads: WeakSet[_Thread] = WeakSet()
_lock = threading.RLock()
"""Guards _threads and what every holder keeps. Reentrant, because garbage collection can end a _Thread anywhere, also
where this thread holds the lock."""


def this_thread() -> _Thread:
    """The current thread's mark."""
    try:
        found: _Thread = _local.mark
        return found
    except AttributeError:
        found = _local.mark = _Thread()
        with _lock:
            _threads.add(found)
        return found


def begin_use(wrapper: PersistentWrapper, session: Session) -> None:
    """The session now belongs to that wrapper, in this thread."""
    session.wrapper, session.thread = ref(wrapper), threading.get_ident()
    this_thread().in_use[id(session)] = ref(session)


def end_use(session: Session) -> None:
    """The session belongs to no wrapper any more."""
    session.wrapper = None
    this_thread().in_use.pop(id(session), None)


def ends_with_its_request() -> bool:
    """Whether the current thread will end with the request that it serves: under ASGI, or when it is a greenlet.

    Django's ASGI handler runs the synchronous code of each request in an executor of one thread, which it makes for it
    (asgiref's ThreadSensitiveContext).
    """
    return SyncToAsync.thread_sensitive_context.get(None) is not None or native.greenlets()


class _Slot:
    """The one place that a process has for an alias."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.user: ReferenceType[PersistentWrapper] | None = None
        self.thread: ReferenceType[_Thread] | None = None


class GlobalHolder:
    """One session per process and alias. A second thread may take it over between requests, never during one."""

    def __init__(self) -> None:
        self._slots: dict[str, _Slot] = {}
        _holders.append(self)

    def take(self, wrapper: PersistentWrapper, fingerprint: Any) -> Session | None:
        mine = this_thread()
        with _lock:
            slot = self._slots.get(wrapper.alias)
            if slot is None:
                slot = self._slots[wrapper.alias] = _Slot()
            user = slot.user() if slot.user is not None else None
            # A thread that ended in mid-request has closed its session on its way out.
            thread = slot.thread() if slot.thread is not None else None
            if user is not None and user is not wrapper and thread is not None:
                if thread is not mine:
                    raise SessionInUse(wrapper.alias, thread.name)
                return None  # a second wrapper in one thread (connection.copy()): a session beside, never parked
            slot.user, slot.thread = ref(wrapper), ref(mine)
            session, slot.session = slot.session, None
        if session is not None and session.fingerprint != fingerprint:
            session.dispose()
            return None
        return session

    def put(self, wrapper: PersistentWrapper, session: Session) -> bool:
        with _lock:
            slot = self._slots.get(wrapper.alias)
            if slot is None or slot.user is None or slot.user() is not wrapper:
                return False
            slot.session, slot.user, slot.thread = session, None, None
            return True

    def release(self, wrapper: PersistentWrapper) -> None:
        with _lock:
            slot = self._slots.get(wrapper.alias)
            if slot is not None and slot.user is not None and slot.user() is wrapper:
                slot.user = slot.thread = None

    def idle(self) -> list[Session]:
        with _lock:
            found = [slot.session for slot in self._slots.values() if slot.session is not None]
            for slot in self._slots.values():
                slot.session = None
        return found

    def forget(self) -> None:
        self._slots = {}


class ThreadHolder:
    """One session per thread and alias; a thread without takes over one that idles in another before it connects.

    That bounds the sessions by the largest number of requests in flight, however many threads take turns. Where each
    request has a thread or greenlet of its own, which ends with it, sessions wait on a shelf of the process instead.
    """

    def __init__(self) -> None:
        self._shelf: dict[str, deque[Session]] = defaultdict(deque)
        """By alias. deque's own methods are atomic."""
        _holders.append(self)

    def take(self, wrapper: PersistentWrapper, fingerprint: Any) -> Session | None:
        mine, alias = this_thread(), wrapper.alias
        session = mine.parked.pop(alias, None)
        if session is not None:
            if session.fingerprint == fingerprint:
                return session
            session.dispose()
        shelf = self._shelf.get(alias)
        while shelf:
            try:
                session = shelf.pop()  # the one that was used last: it is the likeliest to live
            except IndexError:  # another thread was faster
                break
            if session.fingerprint == fingerprint:
                return session
            session.dispose()
        with _lock:
            others = list(_threads)
        for other in others:
            found = other.parked.get(alias)
            # pop decides between two threads that found the same one.
            if found is not None and found.fingerprint == fingerprint:
                session = other.parked.pop(alias, None)
                if session is not None and session.fingerprint == fingerprint:
                    return session
                if session is not None:
                    session.dispose()  # replaced between the two looks, by one of another configuration
        return None

    def put(self, wrapper: PersistentWrapper, session: Session) -> bool:
        if ends_with_its_request():
            shelf = self._shelf[wrapper.alias]
            if len(shelf) >= wrapper.limits.spares:
                return False
            shelf.append(session)
            return True
        # setdefault: of two wrappers in one thread (connection.copy()) the first to finish keeps its session.
        return this_thread().parked.setdefault(wrapper.alias, session) is session

    def release(self, wrapper: PersistentWrapper) -> None:
        """Nothing was reserved."""

    def idle(self) -> list[Session]:
        with _lock:
            threads = list(_threads)
        found = []
        for shelf in list(self._shelf.values()):
            while shelf:
                found.append(shelf.pop())
        for thread in threads:
            for alias in list(thread.parked):
                session = thread.parked.pop(alias, None)
                if session is not None:
                    found.append(session)
        return found

    def forget(self) -> None:
        """The threads' marks are dropped by `_in_child`."""
        self._shelf = defaultdict(deque)


_holders: list[Holder] = []


def close_idle() -> None:
    """Close every parked session of this process: before a test database is dropped, or at the end."""
    for holder in _holders:
        for session in holder.idle():
            session.dispose()


def _in_child() -> None:
    """After a fork, in the child: every session is the parent's."""
    global _lock, _threads, _local  # noqa: PLW0603  # of a process, which has just become another one
    # Other threads may have held it at the moment of the fork; they are not here to let go of it.
    _lock = threading.RLock()
    sessions = [one for one in dog.all() if isinstance(one, Session)]
    dog.reborn()
    for holder in _holders:
        holder.forget()
    # Replaced, not emptied: their __del__ sees the parent's pid and does nothing.
    _threads, _local = WeakSet(), threading.local()
    for session in sessions:
        wrapper = session.wrapper() if session.wrapper is not None else None
        if wrapper is not None:
            wrapper.forget_session()
        session.orphan()


atexit.register(close_idle)
os.register_at_fork(before=dog.stop, after_in_child=_in_child)
