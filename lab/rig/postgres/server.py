"""What faults may do to the lab's PostgreSQL: the `Server` of lab/fault.py."""

from __future__ import annotations

import secrets
import signal as signals
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import LiteralString
from weakref import WeakKeyDictionary

import psycopg2
from psycopg2 import extensions, sql

from lab.errors import BadInput, ServerNotReady
from lab.fault import StopMode
from lab.rig.machine import process
from lab.rig.postgres.connection import OwnConnection
from lab.rig.postgres.database import Database
from lab.timing import FREE, RELOAD

FILLER = "lab_spare"
"""A role of its own (template.sql): its sessions are in no plan's census."""

FULL = ("connection slots are reserved", "too many clients already")
"""How the server words 53300 (in English: our servers have lc_messages = C); libpq does not give its code."""


class PostgresServer:
    """The lab's own server. `control` gives the calling thread's superuser connection."""

    def __init__(self, postgres: Database, control: Callable[[], OwnConnection]) -> None:
        self._postgres = postgres
        self._control = control
        self._rotated: dict[str, str] = {}  # roles with the password that they had, as it was hashed
        self._epochs: WeakKeyDictionary[OwnConnection, str] = WeakKeyDictionary()
        self.restarts = 0
        """How often faults have stopped or crashed it."""

    def terminate(self, pid: int) -> bool:
        """`pg_terminate_backend`; False when there is no such process."""
        return bool(self._ask("SELECT pg_terminate_backend(%s)", pid))

    def signal(self, pid: int, signal: int) -> None:
        """Send a signal to a server process; nothing happens when it is no child of our postmaster (any more).

        What was stopped is continued even when the postmaster has died meanwhile.
        """
        self._postgres.signal_backend(pid, signals.Signals(signal))

    def restart(self, mode: StopMode) -> bool:
        """Stop and start; returns when the server answers: False when `mode` did not end it and it was killed."""
        self.restarts += 1
        return self._postgres.restart(mode)

    def crash(self) -> None:
        """SIGKILL the postmaster, wait for its children to end, start again; returns when the server answers."""
        self.restarts += 1
        self._postgres.crash()

    def stopped(self, pid: int) -> bool:
        """Whether the kernel holds that process stopped."""
        return self._postgres.stopped(pid)

    def fatal_ends(self) -> int:
        """How many sessions the server has ended with a FATAL error of its own; a crash sets it back to 0."""
        return int(str(self._ask("SELECT sum(sessions_fatal) FROM pg_stat_database")))

    def epoch(self) -> str:
        """`pg_postmaster_start_time()`: another value is another server run."""
        connection = self._control()  # it is to one run of the server: a new run is asked anew
        if connection not in self._epochs:
            self._epochs[connection] = str(self._ask("SELECT pg_postmaster_start_time()::text"))
        return self._epochs[connection]

    def throttle(self, cpu_percent: int) -> AbstractContextManager[None]:
        """Not on a bare process."""
        raise BadInput("this rig's server has no limits", "use --rig docker")

    def throttled(self) -> int:
        """Nobody holds it back."""
        return 0

    def exhaust_memory(self) -> None:
        """Not on a bare process: the kernel might kill anybody's."""
        raise BadInput("this rig's server has no limits", "use --rig docker")

    def memory_kills(self) -> int:
        """None that we would know of."""
        return 0

    @contextmanager
    def fill(self) -> Iterator[int]:
        """Hold every connection slot that an ordinary role may have; yields how many we hold. Takes 3 ms each.

        A slot that somebody else gives back later is free. At the end it waits until the slots are.
        """
        with ExitStack() as stack:
            pids: list[int] = []
            stack.callback(self._wait_gone, pids)
            while (connection := self._take_slot()) is not None:
                stack.callback(connection.close)
                pids.append(connection.info.backend_pid)
            yield len(pids)

    def full(self) -> bool:
        """Whether an ordinary role is refused for want of a slot (53300)."""
        connection = self._take_slot()
        if connection is not None:
            connection.close()
        return connection is None

    @contextmanager
    def setting(self, name: str, value: str) -> Iterator[None]:
        """A server setting by ALTER SYSTEM and reload, put back at the end.

        New sessions have it when the block begins; one that is connected takes it with its next statement.
        """
        reset = sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name))
        try:
            self._alter(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
            yield
        finally:
            try:
                self._alter(reset)
            except ServerNotReady:
                self._postgres.forget(name)  # it is not there to be asked, and must not come back with it
                raise

    def value(self, name: str) -> str:
        """A setting as a session of the server has it now: ours, which takes a change with its next statement."""
        return str(self._ask("SELECT current_setting(%s)", name))

    @contextmanager
    def lock_out(self, user: str) -> Iterator[None]:
        """The role's password is another one for the length of the block; sessions that are there stay."""
        before = str(self._ask("SELECT rolpassword FROM pg_authid WHERE rolname = %s", user))
        change = sql.SQL("ALTER ROLE {} PASSWORD {}")
        try:
            self._execute(change.format(sql.Identifier(user), sql.Literal(secrets.token_hex(8))))
            yield
        finally:
            self._execute(change.format(sql.Identifier(user), sql.Literal(before)))  # as it was hashed

    def rotate(self, user: str, password: str) -> None:
        """The role's password is that one until `put_back`; sessions that are there stay."""
        self._rotated.setdefault(user, str(self._ask("SELECT rolpassword FROM pg_authid WHERE rolname = %s", user)))
        self._execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(password)))

    def put_back(self, *users: str) -> None:
        """These roles have the passwords again that they had before any `rotate`."""
        for user in users:
            if user in self._rotated:
                change = sql.SQL("ALTER ROLE {} PASSWORD {}")
                self._execute(change.format(sql.Identifier(user), sql.Literal(self._rotated[user])))
                del self._rotated[user]

    def _take_slot(self) -> OwnConnection | None:
        try:
            return self._postgres.connect(user=FILLER, application_name="lab-filler")
        except ServerNotReady as refusal:
            if not any(sign in str(refusal) for sign in FULL):
                raise
            return None

    def _wait_gone(self, pids: list[int]) -> None:
        count = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND pid = ANY(%s)"
        if not process.wait_until(lambda: self._ask(count, FILLER, pids) == 0, FREE.seconds):
            raise ServerNotReady(f"connection slots were not freed within {FREE.seconds:.0f} s")

    def _alter(self, statement: sql.Composed) -> None:
        self._execute(statement)
        before = self._ask("SELECT pg_conf_load_time()")
        self._execute(sql.SQL("SELECT pg_reload_conf()"))
        if not process.wait_until(lambda: self._ask("SELECT pg_conf_load_time()") != before, RELOAD.seconds):
            raise ServerNotReady(f"PostgreSQL did not reload its settings within {RELOAD.seconds:.0f} s")

    def _ask(self, query: LiteralString, *parameters: object) -> object:
        row = self._execute(sql.SQL(query), *parameters).fetchone()
        return row[0] if row else None

    def _execute(self, query: sql.SQL | sql.Composed, *parameters: object) -> extensions.cursor:
        try:
            return self._control().execute(query, parameters)
        except psycopg2.Error as error:
            raise ServerNotReady(f"the lab's own connection to PostgreSQL failed: {error}") from error
