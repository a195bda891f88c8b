"""Django's side: a PostgreSQL DatabaseWrapper that gives its session back instead of closing it.

The seams are Django's own. `connect` takes a parked session before it makes one, `close` parks it, and the end of a
request (`close_if_unusable_or_obsolete`, by Django's signals) always closes. In between the session never changes: a
lost one stays lost until the request ends, because a silent second one would know nothing of what was set on the first.
Outside of requests, where nothing ever ends, `outside` says when it may change.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql.base import DatabaseWrapper as PostgresWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.db.backends.signals import connection_created
from django.db.transaction import TransactionManagementError
from django.db.utils import DatabaseError, DatabaseErrorWrapper, Error, OperationalError
from django.utils.asyncio import async_unsafe
from django.utils.functional import cached_property

from backend_under_test.persistent_core.cursor import (
    LeasedCursor,
    LeasedDebugCursor,
    LeasedNamedCursor,
    LeasedNamedDebugCursor,
)
from backend_under_test.persistent_core.holder import Holder, begin_use, close_idle, end_use
from backend_under_test.persistent_core.limit import CLIENT_CHECK_MS, LIBPQ_DEFAULTS, Limits
from backend_under_test.persistent_core.outside import here, leaves_state
from backend_under_test.persistent_core.session import Session
from backend_under_test.persistent_core.watchdog import dog
from backend_under_test.persistent_core.wire import (
    ACTIVE,
    IDLE,
    INERROR,
    INTRANS,
    AnswerFailed,
    Database,
    sqlstate,
    wire,
)

logger = logging.getLogger(__name__)

PACE = 1.0
"""Seconds between two attempts to connect, once a request has used up its `connect_attempts`."""

LOST_IN_BLOCK = (
    "The session of this atomic block was closed before the block was left: nothing that was done in it is kept."
)
SWALLOWED = (
    "An error in this transaction was swallowed, so PostgreSQL would answer COMMIT with a rollback: nothing that was "
    "done in it is kept. Put the statement that may fail into an atomic() block of its own."
)
REFERENCES = 2
"""To an object that one list alone refers to, as sys.getrefcount counts: the list's, and that of the count itself."""
READ_ONLY = "25006"
DOOMING = (READ_ONLY, "57P01", "57P02", "57P03", "08")
"""SQLSTATEs (or their beginnings) after which a session must not serve another request. 25006: a failover may have left
this one at a server that is read-only now. A transaction made read-only on purpose costs sessions too: only the server
could tell the two apart."""


class Guard(DatabaseErrorWrapper):
    """Django's error wrapper, which is around every call to the driver, with a deadline on each."""

    wrapper: PersistentWrapper

    def __enter__(self) -> None:
        wrapper = self.wrapper
        session = wrapper.session
        if session is None or session.setting_up:
            return
        if wrapper.limit is not None:
            session.window = wrapper.limit
            session.deadline = time.monotonic() + wrapper.limit - session.spent
            session.spent = 0.0
            if dog.asleep:
                dog.wake()
        if session.left or session.unended is not None:
            try:
                session.end_left()
            except BaseException as error:
                self.__exit__(type(error), error, error.__traceback__)
                raise

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        wrapper = self.wrapper
        session = wrapper.session
        if session is not None and not session.setting_up:
            session.deadline = None
            if exc_type is None:
                if not wrapper.autocommit:
                    session.pending = wire.status(session.conn) == INTRANS
                return
            assert exc_value is not None
            self._failed(wrapper, session, exc_value)
        super().__exit__(exc_type, exc_value, traceback)

    def _failed(self, wrapper: PersistentWrapper, session: Session, error: BaseException) -> None:
        if not isinstance(error, Database.Error):
            if wire.status(session.conn) == ACTIVE:
                # A signal handler's exception left the driver in the middle of an exchange: the answer is still to
                # come and must not become the next statement's.
                session.kill()
            return
        state = sqlstate(error)
        if state is None and isinstance(error, Database.ProgrammingError) and wire.status(session.conn) == ACTIVE:
            try:  # psycopg 3 refuses COPY by execute() when the server has begun it (psycopg #1008)
                wire.leave_copy(session.conn, wrapper.limit)
            except (Database.Error, AnswerFailed, OSError):
                session.kill()
        if state is not None and state.startswith(DOOMING):
            session.doomed = True
        if state == READ_ONLY:
            # They are sessions of the same server, and each of them would cost another request the same error.
            for other in dog.all():
                if isinstance(other, Session) and other.alias == session.alias:
                    other.doomed = True
        session.told = session.lost()
        if session.expired:
            wrapper.errors_occurred = True
            raise OperationalError(expired_message(wrapper.limit)) from error


def expired_message(limit: float | None) -> str:
    """What is said of a call that the watchdog ended."""
    return (
        f"No answer within {limit} s (query_deadline): the session was given up; whether the server did what it was "
        "asked is not known."
    )


class PersistentWrapper(PostgresWrapper):
    """What both backends share; a subclass names its `holder`."""

    holder: ClassVar[Holder]

    # Class attributes, because Django's __init__ already assigns to the properties below.
    session: Session | None = None
    """The session in use; Django's `connection` is its driver connection."""
    limit: float | None = None
    """Seconds for each call, from `query_deadline`."""
    lease = 0
    """Counts connects and closes: what was made under an earlier one is void."""
    rollback_exc: BaseException | None
    """Django's: the error for which the block is marked (its stubs leave it out)."""
    _limits: Limits | None = None
    _lost = False
    """The session of the running atomic block is gone: leaving the block must raise."""
    _boundary_in_block = False
    """A request ended inside an atomic block."""
    _marked = False
    """needs_rollback."""
    _rollback_asked = False
    """The application asked for the rollback itself (transaction.set_rollback)."""
    _left_marked = False
    """A block is being left without an exception, though an error in it was swallowed."""
    _autocommit_later: bool | None = None
    """What a block wanted restored when it had no session to restore it on."""
    _execution: tuple[bool, tuple[Any, ...]] | None = None
    """force_debug_cursor and execute_wrappers as they were when the request took its session."""
    _failures = 0
    _failed_at = 0.0
    _failure: BaseException | None = None

    # ── configuration ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def limits(self) -> Limits:
        """OPTIONS["persistent"], read once per session."""
        if self._limits is None:
            if self.settings_dict["OPTIONS"].get("pool"):
                raise ImproperlyConfigured("OPTIONS['pool'] and a persistent backend both keep sessions: choose one.")
            max_age = self.settings_dict.get("CONN_MAX_AGE")
            self._limits = Limits.of(self.settings_dict["OPTIONS"].get("persistent"), max_age)
            self.limit = self._limits.query_deadline
        return self._limits

    def get_connection_params(self) -> dict[str, Any]:
        """Django's, with bounds for what OPTIONS leaves open."""
        params: dict[str, Any] = super().get_connection_params()
        params.pop("persistent", None)
        for name, value in LIBPQ_DEFAULTS.items():
            if params.get(name) is None:  # None leaves it open too: the drivers drop it
                params[name] = value
        # An explicit `options` would hide the one that a service file may hold.
        if self.limits.startup_options and ("options" in params or "service" not in params):
            given = params.get("options") or os.environ.get("PGOPTIONS", "")
            # The user's come last: they win.
            params["options"] = f"{self._startup_options()} {given}".strip()
        return params

    def _startup_options(self) -> str:
        found = []
        if self.timezone_name:
            found.append(f"-c TimeZone={_escaped(self.timezone_name)}")
        # PostgreSQL 14 has it, and says FATAL before that. Django 5.2 supports nothing older.
        if (self.features.minimum_database_version or (0,)) >= (14,):
            found.append(f"-c client_connection_check_interval={CLIENT_CHECK_MS}")
        if not is_psycopg3:
            # psycopg2 would set it itself where the server's default is not ISO, and a reset would lose that.
            found.append("-c DateStyle=ISO")
        return " ".join(found)

    def _fingerprint(self) -> tuple[Any, ...]:
        """Equal only where a session of the one configuration may serve the other."""
        return (self.settings_dict, self.timezone_name, settings.USE_TZ)

    def _fingerprint_to_keep(self) -> tuple[Any, ...]:
        """A copy: test runners change settings_dict in place."""
        kept = {key: dict(value) if isinstance(value, dict) else value for key, value in self.settings_dict.items()}
        return (kept, self.timezone_name, settings.USE_TZ)

    # ── checkout ─────────────────────────────────────────────────────────────────────────────────────────────────

    @async_unsafe
    def connect(self) -> None:
        """Take the parked session, or make one. Raises SessionInUse, or what connecting raises."""
        if self.in_atomic_block:
            raise TransactionManagementError(LOST_IN_BLOCK)
        parked = self.holder.take(self, self._fingerprint())
        try:
            if parked is None or not self._adopt(parked):
                self._connect_anew()
            self._execution = self.force_debug_cursor, tuple(self.execute_wrappers)
            if self._autocommit_later is not None:
                wanted, self._autocommit_later = self._autocommit_later, None
                self.set_autocommit(wanted)
        except BaseException:
            self._discard()
            raise

    def _adopt(self, session: Session) -> bool:
        """Make a parked session this wrapper's, as BaseDatabaseWrapper.connect would leave it."""
        try:
            ready = session.revive(self.limits)
        except BaseException:
            session.dispose()
            raise
        if not ready:
            session.dispose()
            return False
        self._use(session)
        self.connection = session.conn
        self.isolation_level = session.isolation_level
        self.savepoint_ids = []
        self.atomic_blocks = []
        self.needs_rollback = False
        self.closed_in_transaction = False
        self.errors_occurred = False
        self.health_check_enabled = False
        self.health_check_done = True
        self.close_at = None
        self.autocommit = self.settings_dict["AUTOCOMMIT"]
        self.run_on_commit = []
        if session.fire_created:
            connection_created.send(sender=self.__class__, connection=self)
            self._commit_set_up(session)
        return True

    def _connect_anew(self) -> None:
        """Django's own connect, recorded, bounded and paced."""
        started = time.monotonic()
        self._limits = None  # settings may have changed since the last session
        if self._failures >= self.limits.connect_attempts and started - self._failed_at < PACE:
            assert self._failure is not None
            message = f"{self._failures} attempts to connect have failed in this request; the last: {self._failure}"
            raise OperationalError(message) from self._failure
        try:
            super().connect()
            session = self.session
            assert session is not None
            self._commit_set_up(session)
            session.isolation_level = self.isolation_level
            session.set_up("role" in self.get_connection_params().get("options", ""))
        except BaseException as error:
            if isinstance(error, (Error, Database.Error)):
                self._failures += 1
                self._failed_at = time.monotonic()
                self._failure = error
            if self.session is not None and self.session.expired:
                raise OperationalError(expired_message(self.limit)) from error
            raise
        self.health_check_enabled = False
        self.close_at = None
        session.spent = min(time.monotonic() - started, (self.limit or 0.0) / 2)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Django's, wrapped into a session whose set-up is recorded and has a deadline."""
        conn = super().get_new_connection(conn_params)
        try:
            session = Session(conn, self.alias, self._fingerprint_to_keep())
        except BaseException:
            conn.close()
            raise
        self._use(session)
        session.arm(self.limits.query_deadline)
        return conn

    def init_connection_state(self) -> None:
        """Django's own; what follows in connect() are the receivers of connection_created."""
        super().init_connection_state()
        if self.session is not None:
            self.session.handlers_begin()

    def _commit_set_up(self, session: Session) -> None:
        """With autocommit off, what a receiver has set would vanish with the first request's rollback."""
        if not self.settings_dict["AUTOCOMMIT"] and session.status() == INTRANS:
            session.conn.commit()

    def _use(self, session: Session) -> None:
        self.session = session
        session.missed = session.told = False
        self.lease += 1
        begin_use(self, session)

    @async_unsafe
    def ensure_connection(self) -> None:
        """Django's; outside of requests and blocks a lost session is replaced first, where that is no secret."""
        if self.connection is not None and not here.in_request and self._replaceable():
            self._discard()
        super().ensure_connection()

    def _replaceable(self) -> bool:
        """Whether the session is lost, and the application knows that or has left nothing on it."""
        session = self.session
        if session is None or session.setting_up or self.in_atomic_block or not self.autocommit:
            return False
        if session.told:
            return session.lost()
        return not session.missed and (session.lost() or session.hung_up())

    def note(self, sql: Any) -> None:
        """A statement is about to run outside of any request."""
        if self.session is not None and not self.session.missed and leaves_state(sql):
            self.session.missed = True

    # ── the end of a request ─────────────────────────────────────────────────────────────────────────────────────

    def close_if_unusable_or_obsolete(self) -> None:
        """At both ends of each request: give the session back, whatever state the request left behind."""
        self._failures = 0
        self._failure = None
        self._autocommit_later = None
        self._undo_execution()
        try:
            if self.connection is not None:
                self._boundary_in_block = self.in_atomic_block
                self.close()
            elif self.in_atomic_block:
                # It may be the end of something else, such as a task that the block has called: then the block goes on.
                if self._boundary_in_block and self._left_behind():
                    self._abandon_block()
                elif self._boundary_in_block and self not in here.in_doubt:
                    here.in_doubt = (*here.in_doubt, self)
                self._boundary_in_block = self.in_atomic_block
            else:
                self._lost = self._boundary_in_block = False
        except Exception:
            # Django's loop over the aliases ends with the first error; the others must be given back all the same.
            for other in connections.all(initialized_only=True):
                if other is not self and isinstance(other, PersistentWrapper) and other.connection is not None:
                    try:
                        other.close_if_unusable_or_obsolete()
                    except Exception:
                        logger.exception("Closing %r failed too", other.alias)
            raise

    def _undo_execution(self) -> None:
        """What the request has entered and not left. Taking away is all: what it has left itself must not come back."""
        if self._execution is None:
            return
        debug, wrappers = self._execution
        self._execution = None
        self.force_debug_cursor = self.force_debug_cursor and debug
        if len(self.execute_wrappers) > len(wrappers):
            self.execute_wrappers[:] = [each for each in self.execute_wrappers if each in wrappers]

    @async_unsafe
    def close(self) -> None:
        """Give the session back.

        Inside atomic() the block is rolled back, and leaving it will raise. With autocommit off, pending work is
        committed; if that fails the error is raised, and the session is not kept unless it is sound.
        """
        self.validate_thread_sharing()
        self.run_on_commit = []
        if self.connection is None:
            return
        session = self.session
        if session is None or session.conn is not self.connection:
            super().close()  # the application set `connection` by hand
            return
        if self.in_atomic_block:
            self._lost = True
            self.needs_rollback = False
            self._give_back()
            return
        try:
            if not self.autocommit:
                self._commit_pending(session)
        finally:
            self._give_back()

    def _commit_pending(self, session: Session) -> None:
        """Autocommit off: the request's work, once. Raises when it is not certain to be kept."""
        status = session.status()
        if status == INTRANS:
            self._commit()  # type: ignore[attr-defined]  # Django's; its stubs leave it out
        elif status == INERROR and session.pending:
            raise TransactionManagementError(SWALLOWED)
        elif status not in (IDLE, INERROR) and session.pending:
            raise OperationalError("The session was lost with work pending that close() was to commit: it is not kept.")

    def _give_back(self) -> None:
        """Park the session if it is fit, else dispose of it."""
        session, limits = self.session, self._limits
        assert session is not None
        self.connection = None
        self.session = None
        self.lease += 1
        end_use(session)
        try:
            kept = limits is not None and self.alias != NO_DB_ALIAS and session.park(limits)
            kept = kept and self.holder.put(self, session)
        except BaseException:  # a signal handler may raise anywhere
            session.dispose()
            self.holder.release(self)
            raise
        if not kept:
            session.dispose()
            self.holder.release(self)

    def _discard(self) -> None:
        """Dispose of the session, if there is one, because it is broken or was not set up to the end."""
        session = self.session
        self.connection = None
        self.session = None
        if session is not None:
            end_use(session)
            session.dispose()
        self.holder.release(self)

    def request_begins(self) -> None:
        """Its thread serves another request: a block in which one has ended was left behind, whatever refers to it."""
        if self.in_atomic_block and self.connection is None and self._boundary_in_block:
            self._abandon_block()

    def _left_behind(self) -> bool:
        """Whether nothing refers to the block any more: a `with` statement in it would, until it is left."""
        return not self.atomic_blocks or sys.getrefcount(self.atomic_blocks[0]) <= REFERENCES

    def _abandon_block(self) -> None:
        """Clear the state of an atomic block that its request never left: Django itself never does."""
        self.in_atomic_block = False
        self.savepoint_ids = []
        self.atomic_blocks = []
        self.needs_rollback = False
        self.run_on_commit = []
        self.closed_in_transaction = False
        self._lost = self._boundary_in_block = self._rollback_asked = False

    def forget_session(self) -> None:
        """In a forked child: the session is the parent's, and so is the block that runs in it."""
        self.connection = None
        self.session = None
        self.lease += 1
        if self.in_atomic_block:
            self._lost = True
            self.needs_rollback = False

    # ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def needs_rollback(self) -> bool:
        """Django's flag. Outside a block it is read in one place with True in it: where the outermost block is left
        without an exception although something in it failed. Django rolls back and says nothing; see set_autocommit.
        """
        if self._marked and not self.in_atomic_block and not self._rollback_asked:
            self._left_marked = True
        return self._marked

    @needs_rollback.setter
    def needs_rollback(self, value: bool) -> None:
        self._marked = value

    def set_rollback(self, rollback: bool) -> None:
        """Django's; a rollback that the application asked for is not an error."""
        super().set_rollback(rollback)
        self._rollback_asked = rollback

    @async_unsafe
    def commit(self) -> None:
        """Django's, but never silent about work that is lost, and the session does not outlive a broken COMMIT."""
        self.validate_thread_sharing()
        self.validate_no_atomic_block()
        if self._lost:
            self._lost = False
            self.run_on_commit = []
            raise TransactionManagementError(LOST_IN_BLOCK)
        session = self.session
        if session is not None and session.unended is not None:
            with self.wrap_database_errors:
                pass  # this ends the open stream, which may abort the transaction
        if session is not None and session.status() == INERROR:
            raise TransactionManagementError(SWALLOWED) from self.rollback_exc
        try:
            super().commit()
        except DatabaseError:
            self._discard_if_lost()
            raise
        except BaseException:  # psycopg2's InterfaceError, or a signal handler's: Atomic's own handler misses both
            self.run_on_commit = []
            self._discard_if_lost()
            raise

    @async_unsafe
    def rollback(self) -> None:
        """Django's; a session on which it fails is discarded, which also rolls back."""
        try:
            super().rollback()
        except Error:
            self._discard_if_lost()
            raise
        self._lost = self._rollback_asked = False

    def lost(self) -> bool:
        """Whether the session in use cannot be used any more."""
        return self.session is not None and self.session.lost()

    def _discard_if_lost(self) -> None:
        if self.lost():
            self._discard()

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        """Django's, which also ends each outermost atomic block: there it needs no session, and may have to raise."""
        left_marked, self._left_marked = self._left_marked, False
        if autocommit:
            self._rollback_asked = False
        if self.connection is None and autocommit and not self.in_atomic_block:
            # Connecting only to restore a state that every session begins with could fail, and hide the error for
            # which the block is being left.
            self.autocommit = True
            self._autocommit_later = None if self.settings_dict["AUTOCOMMIT"] else True
        else:
            self._set_autocommit_connected(autocommit, force_begin_transaction_with_broken_autocommit)
        if left_marked:
            raise TransactionManagementError(SWALLOWED) from self.rollback_exc

    def _set_autocommit_connected(self, autocommit: bool, force: bool) -> None:
        try:
            super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit=force)
        except Error:
            if self.session is None or not self.session.lost():
                raise
            committed = autocommit and self.run_commit_hooks_on_set_autocommit_on
            if not committed or self.autocommit:  # Django notes it before it runs the hooks: the error is a hook's own
                raise
            # psycopg2 may ask the server to leave a transaction's isolation level. COMMIT was acknowledged before
            # that: the work is kept, so its hooks run; only the session is lost.
            self._discard()
            self.autocommit = True
            self.run_commit_hooks_on_set_autocommit_on = False
            self.run_and_clear_commit_hooks()

    # ── Django's other hooks ─────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def wrap_database_errors(self) -> Guard:
        """Around every call to the driver."""
        return Guard(self)

    @cached_property
    def unguarded_errors(self) -> DatabaseErrorWrapper:
        """Django's own, without a deadline: where the caller's code runs inside."""
        return DatabaseErrorWrapper(self)

    @contextmanager
    def deadline_armed(self) -> Iterator[None]:
        """A deadline without error conversion."""
        session = self.session
        if session is None:
            yield
            return
        with session.armed(self.limit):
            session.end_left()
            yield

    @contextmanager
    def query_deadline(self, seconds: float | None) -> Iterator[None]:
        """Another `query_deadline` for what runs inside, None for none at all: reports, migrations, bulk loads."""
        self.ensure_connection()
        before, self.limit = self.limit, seconds
        try:
            yield
        finally:
            self.limit = before

    def is_usable(self) -> bool:
        """Django's SELECT 1, with a deadline. Not used by this backend itself."""
        with self.deadline_armed():
            return bool(super().is_usable())

    def _cursor(self, name: str | None = None) -> Any:
        # Django's, without what is idle here (its health check) or guards nothing: making a cursor asks no server.
        if self.connection is None or not here.in_request:
            self.ensure_connection()
        try:
            cursor = self.create_cursor(name)
        except Database.Error:
            with self.wrap_database_errors:  # for its message: the watchdog may have ended the session
                raise
        return self._prepare_cursor(cursor)  # type: ignore[attr-defined]  # Django's; its stubs leave it out

    def make_cursor(self, cursor: Any) -> LeasedCursor | LeasedNamedCursor:
        """A cursor that ends with its lease."""
        return LeasedNamedCursor(cursor, self) if wire.is_named(cursor) else LeasedCursor(cursor, self)

    def make_debug_cursor(self, cursor: Any) -> LeasedDebugCursor | LeasedNamedDebugCursor:
        """The same, logging."""
        return LeasedNamedDebugCursor(cursor, self) if wire.is_named(cursor) else LeasedDebugCursor(cursor, self)

    @contextmanager
    def _nodb_cursor(self) -> Iterator[Any]:
        # CREATE and DROP DATABASE are refused while any session is connected to the (template) database.
        close_idle()
        with super()._nodb_cursor() as cursor:
            yield cursor


def _escaped(value: str) -> str:
    """For the `options` of a startup packet."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
