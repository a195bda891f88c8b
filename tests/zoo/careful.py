"""Careful: a correct backend that keeps the promises about sessions, and of which copies break one each.

Sessions that nobody uses wait on one shelf for each alias, as clean as new. A process that was forked begins with empty
shelves, a thread that ends in mid-request takes its sessions with it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, ClassVar

from django.db import connections
from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property


class Lease:
    """Lies in a thread's own storage while that thread has the session: goes when the thread does."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.pid = os.getpid()

    def __del__(self) -> None:
        if self.raw is not None and self.pid == os.getpid():
            self.raw.close()


class Noting(DatabaseErrorWrapper):
    """Django's error wrapper, which notes that there was an error; Django's own note leaves out some kinds."""

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.wrapper.erred |= exc_type is not None
        super().__exit__(exc_type, exc_value, traceback)


PLAIN = (
    *("isolation_level", "read_only", "readonly", "deferrable", "cursor_factory", "row_factory", "prepare_threshold"),
)


def attributes(raw: Any) -> dict[str, Any]:
    """What can be left on the driver's object and put back, and as `maps` what cannot: types and handlers."""
    found = {name: getattr(raw, name) for name in PLAIN if hasattr(raw, name)}
    if hasattr(raw, "adapters"):
        # Private: psycopg has no public way to list them.
        handlers = raw._notice_handlers, raw._notify_handlers
        maps = [dict(each) for each in raw.adapters._loaders]
        return {**found, "maps": [*map(list, handlers), *maps]}
    return {**found, "maps": [raw.encoding, dict(raw.string_types), type(raw.notices), type(raw.notifies)]}


class Careful(Stock):
    """Correct; each step of a session's life is a method of its own, for others to get wrong."""

    shelves: ClassVar[dict[Any, list[Any]]] = defaultdict(list)
    lock: ClassVar[Any] = threading.Lock()
    leases: ClassVar[Any] = threading.local()

    as_new: ClassVar[dict[int, Any]] = {}
    erred = False
    """An error has come up since the session was taken."""

    @cached_property
    def wrap_database_errors(self) -> Noting:
        """Around every call to the driver."""
        return Noting(self)

    @property
    def shelf(self) -> list[Any]:
        """Where the sessions wait that this wrapper may take."""
        return self.shelves[os.getpid(), self.alias, self.settings_dict["NAME"]]

    @contextmanager
    def _nodb_cursor(self) -> Iterator[Any]:
        """Who asks for it makes, copies or drops a database, which no session may be connected to."""
        self.close_waiting()
        try:
            with super()._nodb_cursor() as cursor:
                yield cursor
        finally:
            self.close_waiting()

    def close_waiting(self) -> None:
        """Close all sessions of this process that nobody uses."""
        with self.lock:
            waiting = [shelf.pop() for key, shelf in self.shelves.items() if key[0] == os.getpid() for _ in list(shelf)]
        for raw in waiting:
            raw.close()

    def connect(self) -> None:
        """Django's; what receivers of connection_created have set is not to go with the first rollback."""
        super().connect()
        if not self.settings_dict["AUTOCOMMIT"]:
            self.connection.commit()
        self.connected(self.connection)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """One from the shelf that works, else a new one."""
        self.erred = False
        raw = self.from_shelf() or self.fresh(conn_params)
        vars(self.leases).setdefault("held", {})[id(raw)] = Lease(raw)
        return raw

    def fresh(self, conn_params: dict[str, Any]) -> Any:
        """A new session."""
        return super().get_new_connection(conn_params)

    def connected(self, raw: Any) -> None:
        """It is set up: what is on the driver's object now is no request's."""
        if id(raw) not in self.as_new:
            self.as_new[id(raw)] = (raw, attributes(raw))

    def restore(self, raw: Any) -> bool:
        """Undo what was left on the driver's object; False for what cannot be undone."""
        _, was = self.as_new.get(id(raw), (raw, {}))
        for name, value in attributes(raw).items():
            if name == "maps" and value != was.get(name, value):
                return False
            if value != was.get(name, value):
                setattr(raw, name, was[name])
        return True

    def from_shelf(self) -> Any:
        """One that works, None where there is none."""
        while True:
            with self.lock:
                raw = self.shelf.pop() if self.shelf else None
            if raw is None:
                return None
            try:
                works = self.works(raw)
            except BaseException:
                self.left_midway(raw)
                raise
            if works:
                level = self.settings_dict["OPTIONS"].get("isolation_level")
                self.isolation_level = IsolationLevel(level or IsolationLevel.READ_COMMITTED)
                if level:
                    raw.isolation_level = self.isolation_level
                return raw
            raw.close()

    def works(self, raw: Any) -> bool:
        """Whether the server still answers on it."""
        try:
            raw.cursor().execute("SELECT 1")
        except Database.Error:
            return False
        return True

    def _close(self) -> None:
        raw = self.connection
        if raw is None:
            return
        lease = vars(self.leases).get("held", {}).pop(id(raw), None)
        if lease is not None:
            lease.raw = None
        try:
            clean = not raw.closed and self.clean(raw)
        except BaseException:
            self.left_midway(raw)
            raise
        if clean:
            with self.lock:
                self.shelf.append(raw)
        else:
            raw.close()

    def left_midway(self, raw: Any) -> None:
        """A signal's exception has ended a check, or the cleaning, midway: nobody knows what is left there."""
        raw.close()

    def clean(self, raw: Any) -> bool:
        """Undo what is open and what was set; False when the session must not be kept."""
        try:
            self.roll_back(raw)
            self.reset(raw)
            if not self.may_write(raw):
                self.suspect_others()
                return False
            return self.restore(raw)
        except Database.Error:
            return False

    def roll_back(self, raw: Any) -> None:
        """Undo what is open; raises the driver's errors."""
        raw.rollback()
        if raw.info.transaction_status != 0:  # begun by hand: psycopg2 sends no ROLLBACK for it
            raw.cursor().execute("ROLLBACK")
        raw.autocommit = True

    def reset(self, raw: Any) -> None:
        """Undo what was set."""
        raw.cursor().execute("DISCARD ALL")
        unread = getattr(raw, "_notifies_backlog", raw.notifies)  # psycopg's `notifies` is a method
        if not callable(unread):
            unread.clear()

    def suspect_others(self) -> None:
        """The server takes no writes any more: those on the shelf are connected to the same one."""
        with self.lock:
            waiting = [self.shelf.pop() for _ in list(self.shelf)]
        for raw in waiting:
            raw.close()

    def may_write(self, raw: Any) -> bool:
        """Whether the server takes writes on it."""
        cursor = raw.cursor()
        cursor.execute("SHOW transaction_read_only")
        return bool(cursor.fetchone()[0] == "off")

    def close_if_unusable_or_obsolete(self) -> None:
        """Give the session back at both ends of a request, whatever state it is in.

        Within a block the end may be that of another piece of work, such as a task that the block has called: from then
        on Django refuses every statement of the block, until it is left. One that was left behind, to which nothing
        refers, is forgotten at the next end or begin.
        """
        blocks = self.atomic_blocks
        left_behind = self.closed_in_transaction and (not blocks or sys.getrefcount(blocks[0]) <= 2)
        over = left_behind or not self.in_atomic_block
        if self.connection is not None:
            self.close()
            self.connection = None
        if over:
            self.in_atomic_block = self.closed_in_transaction = self.needs_rollback = False
            self.savepoint_ids, self.atomic_blocks = [], []


ORPHANS: list[Any] = []


def forget() -> None:
    """In a forked child: what the wrappers have is the parent's, and must not even be closed."""
    Careful.lock = threading.Lock()
    for wrapper in connections.all(initialized_only=True):
        if isinstance(wrapper, Careful) and wrapper.connection is not None:
            ORPHANS.append(wrapper.connection)
            wrapper.connection = None
            wrapper.closed_in_transaction = wrapper.in_atomic_block


os.register_at_fork(after_in_child=forget)
