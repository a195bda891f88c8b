"""What faults may do to the lab's PostgreSQL: the `Server` of lab/fault.py, on processes of this machine."""

from __future__ import annotations

import signal as signals
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil
import psycopg
from psycopg import sql

from lab.errors import ServerNotReady
from lab.fault import StopMode
from lab.rig import process
from lab.rig.postgres import Postgres

FILLER = "lab_spare"
"""A role of its own (template.sql): its sessions are in no plan's census."""

RELOAD_TIMEOUT = 5.0


class LocalServer:
    """The lab's own server. `control` gives the calling thread's superuser connection."""

    def __init__(self, postgres: Postgres, control: Callable[[], psycopg.Connection[Any]]) -> None:
        self._postgres = postgres
        self._control = control

    def terminate(self, pid: int) -> bool:
        """`pg_terminate_backend`; False when there is no such process."""
        return bool(self._ask("SELECT pg_terminate_backend(%s)", pid))

    def signal(self, pid: int, signal: int) -> None:
        """Send a signal to a server process; nothing happens when it is no child of our postmaster (any more)."""
        self._postgres.signal_backend(pid, signals.Signals(signal))

    def restart(self, mode: StopMode) -> None:
        """Stop and start; returns when the server answers."""
        self._postgres.restart(mode)

    def crash(self) -> None:
        """SIGKILL the postmaster, wait for its children to end, start again; returns when the server answers."""
        self._postgres.crash()

    def stopped(self, pid: int) -> bool:
        """Whether the kernel holds that process stopped."""
        try:
            return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        except psutil.NoSuchProcess:
            return False

    def epoch(self) -> str:
        """`pg_postmaster_start_time()`: another value is another server run."""
        return str(self._ask("SELECT pg_postmaster_start_time()::text"))

    @contextmanager
    def fill(self) -> Iterator[int]:
        """Hold every connection slot that an ordinary role may have; yields how many we hold. Takes 3 ms each."""
        with ExitStack() as stack:
            held = 0
            while (connection := self._take_slot()) is not None:
                stack.callback(connection.close)
                held += 1
            self.epoch()  # refused because it is full, not because it is gone: this raises then
            yield held

    @contextmanager
    def setting(self, name: str, value: str) -> Iterator[None]:
        """A server setting by ALTER SYSTEM and reload, put back at the end.

        New sessions have it when the block begins; one that is connected takes it with its next statement.
        """
        try:
            self._alter(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
            yield
        finally:
            self._alter(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name)))

    def _take_slot(self) -> psycopg.Connection[Any] | None:
        try:
            return self._postgres.connect(user=FILLER, application_name="lab-filler")
        except ServerNotReady:
            return None

    def _alter(self, statement: sql.Composed) -> None:
        self._execute(statement)
        before = self._ask("SELECT pg_conf_load_time()")
        self._execute(sql.SQL("SELECT pg_reload_conf()"))
        if not process.wait_until(lambda: self._ask("SELECT pg_conf_load_time()") != before, RELOAD_TIMEOUT):
            raise ServerNotReady(f"PostgreSQL did not reload its settings within {RELOAD_TIMEOUT:.0f} s")

    def _ask(self, query: str, *parameters: object) -> Any:
        row = self._execute(sql.SQL(query), *parameters).fetchone()  # type: ignore[arg-type]
        return row[0] if row else None

    def _execute(self, query: sql.Composable, *parameters: object) -> psycopg.Cursor[Any]:
        try:
            return self._control().execute(query, parameters)  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise ServerNotReady(f"the lab's own connection to PostgreSQL failed: {error}") from error
