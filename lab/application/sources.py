"""Which line of the project said what to the database, and when; and which threads are inside Django's database layer.

Django's own methods are wrapped in their classes, so that every thread and alias is seen, one that begins later too.
SQL is kept with its placeholders: no value of the project's goes anywhere.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import sysconfig
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Literal

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.transaction import Atomic, get_connection

import lab
from lab.application import clock

What = Literal["execute", "commit", "rollback", "connect", "close", "check"]

_LAB: Final = str(Path(lab.__file__).parent)
_INSTALLED: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_FRAMES = 200
"""How many callers are looked at for a line of the project."""

_TARGET = re.compile(
    r"""\s*(?P<verb>INSERT\s+INTO|DELETE\s+FROM|UPDATE|SELECT|WITH|COPY|LOCK\s+TABLE|MERGE\s+INTO|TRUNCATE|FETCH|DECLARE)\b
        (?:\s+ONLY)?""",
    re.IGNORECASE | re.VERBOSE,
)
WRITES: Final = re.compile(r"\s*(INSERT|UPDATE|DELETE|MERGE|COPY)\b", re.IGNORECASE)
ABORTED: Final = 3
"""What libpq calls PQTRANS_INERROR."""
_NAME = re.compile(r'\s*(?:"(?P<quoted>[^"]+)"|(?P<plain>[A-Za-z_][\w.]*))(?:\."(?P<second>[^"]+)")?')
_FROM = re.compile(r"\bFROM\b", re.IGNORECASE)


@dataclass(slots=True)
class Note:
    """One call of Django's database layer. `ended_ns` is 0 while it lasts; `place` is `shop/views.py:34`, or ""."""

    thread: int
    alias: str
    what: What
    sql: str
    place: str
    begun_ns: int
    ended_ns: int = 0
    failed: bool = False

    @property
    def says(self) -> str:
        """E.g. `INSERT shop_order`, `COMMIT`, `connect`."""
        return statement(self.sql) if self.what == "execute" else _WORDS[self.what]


_WORDS: Final[dict[What, str]] = {
    "commit": "COMMIT",
    "rollback": "ROLLBACK",
    "connect": "connect",
    "close": "close",
    "check": "health check",
}


class Sources:
    """The notes of everything that happens while it is entered. Connections in `apart` are the lab's own."""

    def __init__(self, root: Path) -> None:
        self.root = f"{root}/"
        self.notes: list[Note] = []
        self.apart: set[int] = set()
        """The identities of wrappers that are not looked at."""
        self.holders: dict[int, int] = {}
        """By the client's port of a connection, the thread that connect() has given it to."""
        self.swallowed: list[tuple[int, str]] = []
        """Blocks of atomic() that were left without an error after the server had given up what they had written: the
        thread, and the line of the project.
        """
        self._began: dict[int, int] = {}
        """By wrapper when its outermost block began."""
        self._inside: dict[int, list[Note]] = {}
        self._ours: dict[str, bool] = {}
        self._undo: list[tuple[type, str, Any]] = []

    def inside(self, thread: int) -> str:
        """Which call of the database layer that thread is in now, "" for none."""
        stack = self._inside.get(thread)
        return stack[-1].what if stack else ""

    def is_inside(self, thread: int, what: What) -> bool:
        """Whether that thread is inside such a call now, however deep."""
        return any(note.what == what for note in list(self._inside.get(thread, ())))

    def clear(self) -> None:
        """Forget the notes, and who has which connection."""
        self.notes = []
        self.holders = {}
        self.swallowed = []

    def note_at(self, at_ns: int, thread: int | None = None) -> Note | None:
        """The call that a message of this moment belongs to, the innermost one."""
        for note in reversed(self.notes):
            fits = note.begun_ns <= at_ns and (note.ended_ns == 0 or at_ns <= note.ended_ns)
            if fits and thread in (None, note.thread):
                return note
        return None

    def place(self, frame: FrameType | None) -> str:
        """The nearest line of the project among the callers, as `FILE:LINE`, or ""."""
        for _ in range(_FRAMES):
            if frame is None:
                return ""
            file = frame.f_code.co_filename
            if self.is_project(file):
                return f"{file.removeprefix(self.root)}:{frame.f_lineno}"
            frame = frame.f_back
        return ""

    def place_of(self, traceback: TracebackType | None) -> str:
        """The last line of the project that an exception came through."""
        found = ""
        while traceback is not None:
            file = traceback.tb_frame.f_code.co_filename
            if self.is_project(file):
                found = f"{file.removeprefix(self.root)}:{traceback.tb_lineno}"
            traceback = traceback.tb_next
        return found

    def is_project(self, file: str) -> bool:
        """Whether a file belongs to the project that is tested: in its folder, and neither installed nor the lab's."""
        if file not in self._ours:
            apart = file.startswith((f"{_LAB}/", *(f"{each}/" for each in _INSTALLED))) or "-packages/" in file
            self._ours[file] = file.startswith(self.root) and not apart
        return self._ours[file]

    # -- the wrapping

    def __enter__(self) -> Sources:
        self._wrap(CursorWrapper, "_execute_with_wrappers", "execute", lambda cursor, args: (cursor.db, str(args[0])))
        self._wrap(CursorWrapper, "callproc", "execute", lambda cursor, args: (cursor.db, f"CALL {args[0]}"))
        for method, what in _METHODS.items():
            self._wrap(BaseDatabaseWrapper, method, what, lambda wrapper, _: (wrapper, ""))
        self._watch_blocks()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for owner, name, original in reversed(self._undo):
            setattr(owner, name, original)
        self._undo.clear()

    def _wrap(
        self, owner: type, name: str, what: What, about: Callable[[Any, tuple[Any, ...]], tuple[Any, str]]
    ) -> None:
        original = getattr(owner, name)
        self._undo.append((owner, name, original))

        @wraps(original)
        def noted(self_: Any, *args: Any, **kwargs: Any) -> Any:
            wrapper, sql = about(self_, args)
            if id(wrapper) in self.apart or (what == "check" and not _will_check(wrapper)):
                return original(self_, *args, **kwargs)
            thread = threading.get_ident()
            note = Note(thread, wrapper.alias, what, sql, self.place(sys._getframe(1)), clock.now_ns())  # noqa: SLF001
            self.notes.append(note)
            stack = self._inside.setdefault(thread, [])
            stack.append(note)
            try:
                result = original(self_, *args, **kwargs)
                if what == "connect":
                    self.holders[local_port(wrapper.connection)] = thread
                return result
            except BaseException:
                note.failed = True
                raise
            finally:
                note.ended_ns = clock.now_ns()
                stack.pop()

        setattr(owner, name, noted)

    def _watch_blocks(self) -> None:
        enter, leave = Atomic.__enter__, Atomic.__exit__
        self._undo += [(Atomic, "__enter__", enter), (Atomic, "__exit__", leave)]

        @wraps(enter)
        def entered(block: Atomic) -> None:
            enter(block)
            wrapper = get_connection(block.using)
            if not wrapper.savepoint_ids:
                self._began[id(wrapper)] = clock.now_ns()

        @wraps(leave)
        def left(block: Atomic, kind: Any, error: Any, traceback: Any) -> None:
            if kind is None:
                self._look_for_swallowed(get_connection(block.using))
            leave(block, kind, error, traceback)

        owner: Any = Atomic
        owner.__enter__, owner.__exit__ = entered, left

    def _look_for_swallowed(self, wrapper: Any) -> None:
        """Whether the outermost block ends in a transaction that an error has aborted: Django rolls it back and says
        nothing.
        """
        if wrapper.savepoint_ids or id(wrapper) in self.apart or not _aborted(wrapper.connection):
            return
        thread, began = threading.get_ident(), self._began.get(id(wrapper), 0)
        if any(
            note.thread == thread and note.begun_ns >= began and not note.failed and WRITES.match(note.sql)
            for note in self.notes
        ):
            self.swallowed.append((thread, self.place(sys._getframe(2))))  # noqa: SLF001


def _aborted(connection: Any) -> bool:
    """Whether the server has said that it has given the transaction of this driver's connection up."""
    return connection is not None and getattr(connection.info, "transaction_status", None) == ABORTED


def _will_check(wrapper: Any) -> bool:
    """Whether the wrapper is about to ask its connection whether it lives; without, the call is none worth a note."""
    return wrapper.connection is not None and wrapper.health_check_enabled and not wrapper.health_check_done


def local_port(connection: Any) -> int:
    """The client's end of a driver's connection; 0 of one that is no TCP connection, or that has been lost already."""
    try:
        # The class below socket.socket, for which a suite may have put one in that refuses.
        end = socket.SocketType(fileno=os.dup(connection.fileno()))
    except Exception:  # noqa: BLE001  # whatever a driver says of a connection that is gone
        return 0
    try:
        name = end.getsockname()
    finally:
        end.close()
    return int(name[1]) if isinstance(name, tuple) else 0


_METHODS: Final[dict[str, What]] = {
    "connect": "connect",
    "_commit": "commit",
    "_rollback": "rollback",
    "close": "close",
    "close_if_health_check_failed": "check",
}


@lru_cache(maxsize=1024)
def statement(sql: str) -> str:
    """A statement as its verb and first table: `UPDATE shop_product`, `SELECT`, `SAVEPOINT`."""
    found = _TARGET.match(sql)
    if found is None:
        return " ".join(sql.split()[:1]).rstrip(";").upper()
    verb = found["verb"].split()[0].upper()
    at = found.end()
    if verb in ("SELECT", "WITH"):
        source = _FROM.search(sql, at)
        if source is None:
            return verb
        at = source.end()
    name = _NAME.match(sql, at)
    return f"{verb} {name['second'] or name['quoted'] or name['plain']}" if name else verb
