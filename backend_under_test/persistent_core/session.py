"""One session: the driver's connection, kept from one request to the next."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType

from django.core.exceptions import ImproperlyConfigured

from backend_under_test.persistent_core import native
from backend_under_test.persistent_core.progress import PROGRESS, bytes_moved
from backend_under_test.persistent_core.setup import DISCARD, Recording, with_parameters
from backend_under_test.persistent_core.watchdog import dog
from backend_under_test.persistent_core.wire import (
    ACTIVE,
    FAREWELLS,
    IDLE,
    INERROR,
    INTRANS,
    UNKNOWN,
    AnswerFailed,
    Database,
    wire,
)

HANG_UP = getattr(select, "POLLRDHUP", 0)
"""The end of the stream, also behind bytes that nobody has read; POLLERR and POLLHUP need no asking. Linux has it."""

_ABANDONED: list[Any] = []
"""The driver's connections of the process from which this one was forked."""

if TYPE_CHECKING:
    from backend_under_test.persistent_core.limit import Limits
    from backend_under_test.persistent_core.wrapper import PersistentWrapper


class Session:
    """A connection of the driver with what is needed to hand it on safely.

    In use it belongs to one wrapper; parked, to a holder. `park` and `revive` lie at the two ends of a request: the
    reset is sent by the first and its answer read by the second, which makes the answer a health check that came free.
    """

    thread: int
    """Whose calls it serves while in use."""
    # The defaults of what is seldom set are the class's, so that an instance has at most 30 attributes: CPython finds
    # those faster.
    expired = False
    """The watchdog shut it down."""
    _moved = 0
    _moved_at = 0.0
    """When the last PROGRESS bytes were seen to have come or been acknowledged, and how many there were by then."""

    def __init__(self, conn: Any, alias: str, fingerprint: Any) -> None:
        self.conn = conn
        self.alias = alias
        """That of all wrappers which it may be given to."""
        self.fingerprint = fingerprint
        """The configuration it was made for; a wrapper with another one must not get it."""
        self.wrapper: ReferenceType[PersistentWrapper] | None = None
        """Whose it is while in use."""
        self.left: list[str] = []
        """Names of the server's cursors that could not be closed where they were dropped."""
        self.unended: Callable[[], object] | None = None
        """Ends the COPY or stream that is open. It holds psycopg's lock, so that any other call would wait for ever."""
        self.pid = os.getpid()
        self.born = self.parked_at = time.monotonic()
        self.deadline: float | None = None
        """When the call that is under way will be given up. Read by the watchdog."""
        self.window: float | None = None
        """How long that call may be silent, in seconds."""
        self.spent = 0.0
        """What connecting took off the first statement's deadline: to its caller both are one wait."""
        self.doomed = False
        """Not to be kept, though it works: a server turned read-only."""
        self.pending = False
        """Autocommit off: work succeeded in a transaction that was not ended. A lost session no longer knows."""
        self.missed = False
        """Outside of requests: something was left on it, such as a SET, that the application would miss on another."""
        self.told = False
        """An error has told the application that it is lost."""
        self.setting_up = True
        self.isolation_level: Any = None
        self.reset = DISCARD
        self.fire_created = False
        self._due = False
        """A reset was sent and its answer not yet read."""
        # Between the watchdog, which shuts the socket down, and `dispose`, which closes it: a descriptor's number is
        # taken again at once, and a shutdown must never hit its next owner. Reentrant for the garbage collector's sake.
        self._lock = native.reentrant_lock()
        # A duplicate: it stays ours, and its number untaken, when the driver closes its own on an error.
        self._socket = native.Socket(fileno=os.dup(conn.fileno()))
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._hang_up = select.poll()
        self._hang_up.register(self._socket, HANG_UP)
        self._listen = wire.listen(conn)
        self._recording: Recording | None = Recording(conn)
        self._attributes: tuple[Any, ...] = ()
        self._reported: tuple[str | None, ...] = ()
        dog.watch(self)

    def __del__(self) -> None:
        # A wrapper that was dropped without close(). __init__ may have failed half-way.
        if hasattr(self, "_socket"):
            self.dispose()

    # ── deadlines ────────────────────────────────────────────────────────────────────────────────────────────────

    def arm(self, seconds: float | None) -> None:
        """The call that begins now is given up after that long. The wrapper's guard does the same inline."""
        if seconds is not None:
            self.window = seconds
            self.deadline = time.monotonic() + seconds
            if dog.asleep:
                dog.wake()

    def disarm(self) -> None:
        """The call has ended."""
        self.deadline = None

    @contextmanager
    def armed(self, seconds: float | None) -> Iterator[None]:
        """Set a deadline for the body; afterwards restore that of an enclosing call."""
        before = self.deadline
        self.arm(seconds)
        try:
            yield
        finally:
            self.deadline = before

    def look(self, now: float) -> None:
        """By the watchdog's thread, now and then while a call is under way: is something bulky on its way?"""
        with self._lock:
            moved = bytes_moved(self._socket)
        if moved - self._moved >= PROGRESS:
            self._moved, self._moved_at = moved, now

    def expire(self, now: float) -> None:
        """By the watchdog's thread: make the blocked call return, unless its bytes still flow."""
        with self._lock:
            if self.deadline is None or now < self.deadline:
                return
            if self.window is not None and now - self._moved_at < self.window:
                return
            self.deadline = None
            self.expired = True
            self._shut()

    # ── setting up ───────────────────────────────────────────────────────────────────────────────────────────────

    def handlers_begin(self) -> None:
        """connection_created is about to be sent."""
        if self._recording is not None:
            self._recording.handlers_begin()

    def set_up(self, role_at_startup: bool) -> None:
        """Setting up has ended: what the session is now, it must be again for each request."""
        assert self._recording is not None
        self.reset, self.fire_created = self._recording.finish(role_at_startup)
        self._recording = None
        wire.settle(self.conn)
        self._attributes = wire.attributes(self.conn)
        self._reported = wire.reported(self.conn)
        self.setting_up = False
        self.disarm()

    # ── what was dropped ─────────────────────────────────────────────────────────────────────────────────────────

    def in_own_thread(self) -> bool:
        """Whether the current thread may ask the server. Garbage is collected in any, under asyncio in the loop's."""
        return self.thread == threading.get_ident()

    def at_work(self) -> bool:
        """Whether a call is under way: garbage is collected in the midst of one, too, where psycopg holds its lock."""
        return self.deadline is not None or wire.busy(self.conn)

    def end_left(self) -> None:
        """At the beginning of a call, under its deadline: end what stands in its way, close what was left open.

        It first asks whether a cursor still exists, because an error of CLOSE would abort the present transaction. In a
        failed one, or with autocommit off and none begun, it does nothing: a later call closes the cursor.
        """
        end, self.unended = self.unended, None
        if end is not None:
            end()
        if not self.left:
            return
        status = self.status()
        if status != INTRANS and not (status == IDLE and self.conn.autocommit):
            return
        with self.conn.cursor() as cursor:
            while self.left:
                name = self.left.pop()
                cursor.execute("SELECT 1 FROM pg_catalog.pg_cursors WHERE name = %s", [name])
                if cursor.fetchone() is not None:
                    quoted = name.replace('"', '""')
                    cursor.execute(f'CLOSE "{quoted}"')

    # ── between requests ─────────────────────────────────────────────────────────────────────────────────────────

    def status(self) -> int:
        """The transaction status; UNKNOWN when the connection is bad."""
        return wire.status(self.conn)

    def lost(self) -> bool:
        """Whether it cannot be used any more: dead, or in an exchange of which the rest will not be read."""
        return self.expired or self.status() in (ACTIVE, UNKNOWN)

    def hung_up(self) -> bool:
        """Whether the server's end is closed, though nobody has read that: asks the kernel, waits for nothing."""
        return bool(self._hang_up.poll(0))

    def park(self, limits: Limits) -> bool:
        """Make it ready for the next request; False when it must not be kept. Waits only to end a transaction."""
        self.arm(limits.query_deadline)
        try:
            status = self.status()
            if self.doomed or self.expired or self.unended is not None or not wire.tidy(self.conn):
                return False
            if status in (INTRANS, INERROR):
                # Waited for, so that the request's locks are gone when the request is. The abnormal case: can be slow.
                self._roll_back()
                status = self.status()
            if status != IDLE:
                return False
            self.pending = False
            if limits.reset:
                self.left.clear()
                self._due = wire.send(self.conn, self.reset)
        except (Database.Error, AnswerFailed, OSError):
            return False
        finally:
            self.disarm()
        self.parked_at = time.monotonic()
        return not self.expired

    def revive(self, limits: Limits) -> bool:
        """Ready for a new request? False: it is dead, late or dirty, and must be disposed of.

        Costs no round trip: the answer to the reset has usually arrived. What else waits on the socket, were it only
        the server's farewell or the end of the stream, means that this session is over.
        """
        if self.doomed:  # while it was parked: another session of its server was refused a write
            return False
        now = time.monotonic()
        if limits.max_age is not None and now - self.born >= limits.max_age:
            return False
        try:
            silent = self._answered(now + limits.check_deadline) if self._due else not self._poll.poll(0)
            if not silent:
                return False
            if limits.idle_check is not None and now - self.parked_at >= limits.idle_check:
                # Silent loss leaves no trace on a socket; so long a rest has earned a question.
                self._due = wire.send(self.conn, b"")
                if self._due and not self._answered(now + limits.check_deadline):
                    return False
            if self.status() != IDLE:
                return False
            attributes = wire.attributes(self.conn) == self._attributes
            parameters = wire.reported(self.conn) == self._reported or not limits.reset
            if not (attributes and parameters):
                self.arm(limits.check_deadline)
                try:
                    wire.restore(self.conn, self._attributes)
                    if not parameters:
                        self._set_parameters(limits.check_deadline)
                finally:
                    self.disarm()
        except (Database.Error, AnswerFailed, OSError):
            return False
        return not self.expired

    def _set_parameters(self, seconds: float) -> None:
        """What came with the startup packet is gone: behind a pooler that applies `options` by SET. Once a session."""
        statement, self.reset = with_parameters(self.reset, self._reported)
        if wire.send(self.conn, statement):
            self._due = True
            if not self._answered(time.monotonic() + seconds):
                raise AnswerFailed("the parameters of the startup packet cannot be set")

    def _answered(self, deadline: float) -> bool:
        """Read the reset's answer; whether it came, and nothing else did."""
        # Asking libpq first spares the usual case a system call: the answer is there.
        while not wire.receive(self.conn):
            left = deadline - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                return False
        self._due = False
        return not self._poll.poll(0) and not self._said_farewell()

    def _said_farewell(self) -> bool:
        said = self._listen()
        # A plain DISCARD ALL has nothing else to say, in whatever language; a repeated statement may raise a NOTICE.
        return bool(said) and (self.reset is DISCARD or any(each.startswith(FAREWELLS) for each in said))

    def _roll_back(self) -> None:
        self.conn.rollback()
        if self.status() in (INTRANS, INERROR):
            # psycopg2 sends no ROLLBACK for a BEGIN that was sent by hand.
            with self.conn.cursor() as cursor:
                cursor.execute("ROLLBACK")

    # ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def dispose(self) -> None:
        """Close it, whatever its state; never waits, never raises."""
        dog.ignore(self)
        with self._lock:
            self.deadline = None
            try:
                if self.pid != os.getpid():
                    self._swap_for_null()
                elif self._due or self.status() != IDLE:
                    # libpq's goodbye could block on a peer that takes nothing; without a socket it cannot.
                    self._shut()
            except (Database.Error, OSError):
                pass
            # The duplicate first: the server sees the end of the stream only when the last one is closed.
            self._socket.close()
        if self.pid != os.getpid():
            _ABANDONED.append(self.conn)
            return
        try:
            self.conn.close()
        except (Database.Error, OSError):
            pass

    def kill(self) -> None:
        """Make every further call on it fail, without leaving the wrapper that has it."""
        with self._lock:
            self.deadline = None
            self._shut()
        try:
            self.conn.close()
        except Database.Error:
            pass

    def orphan(self) -> None:
        """In a forked child: let go of the parent's session without a byte on its socket.

        Closing would say goodbye to the server in the parent's name. So the child's descriptors are turned to
        /dev/null, and the driver's object is left as it is.
        """
        self.deadline = None
        self._lock = native.reentrant_lock()  # a thread that is not here may have held the old one
        try:
            self._swap_for_null()
            self._socket.close()
        except (Database.Error, OSError):
            pass
        # Not closed: psycopg2 would wait for the connection's lock, which a thread that is not here may have held. Nor
        # collected, for the same reason. Nor is a stream, whose end would cancel the parent's statement.
        _ABANDONED.extend((self.conn, self.unended))
        self.unended = None

    def _swap_for_null(self) -> None:
        null = os.open(os.devnull, os.O_RDWR)
        try:
            for fileno in (self._socket.fileno, self.conn.fileno):
                try:
                    os.dup2(null, fileno(), inheritable=False)
                except (Database.Error, OSError):
                    pass  # closed already
        finally:
            os.close(null)

    def _shut(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed already, or never connected


if not hasattr(select, "poll"):
    raise ImproperlyConfigured("The persistent backends need select.poll, which this platform does not have.")
