"""How a session was set up, remembered so that it can be done again without a round trip.

A reset takes away what Django (time zone, role) and the project's connection_created handlers set when the session
was new, but is no state of any request. Their statements are recorded while they run, at the driver's cursors, and
travel in one message with the reset. What cannot be repeated that way (a handler that writes rows) is left to the
handlers themselves: connection_created is sent again at each checkout, as it is with Django's default CONN_MAX_AGE=0.
"""

from __future__ import annotations

import re
from typing import Any

from backend_under_test.persistent_core.wire import REPORTED, wire

DISCARD = b"DISCARD ALL"
"""The whole reset where there is nothing to repeat: one statement, as fast as SELECT 1."""

# DISCARD ALL refuses to share a message with others, so these are its parts. RESET ROLE is one more: SET SESSION
# AUTHORIZATION ends also a role that came with the startup packet or from ALTER ROLE … SET role, and this brings it
# back. DISCARD PLANS is left out: no request can see a cached plan.
PARTS = (
    "CLOSE ALL",
    "SET SESSION AUTHORIZATION DEFAULT",
    "RESET ROLE",
    "RESET ALL",
    "DEALLOCATE ALL",
    "UNLISTEN *",
    "SELECT pg_catalog.pg_advisory_unlock_all()",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
)

_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
_REPEATABLE = re.compile(r"(?:SET|RESET|SELECT|LISTEN|LOAD|PREPARE|DO|CREATE\s+(?:LOCAL\s+)?TEMP)\b", re.IGNORECASE)
_WITHOUT_EFFECT = re.compile(
    r"(?:SHOW|BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SET\s+(?:LOCAL|TRANSACTION))\b", re.IGNORECASE
)
_LOOKUP = re.compile(r"\bpg_(?:type|catalog|namespace|extension)\b", re.IGNORECASE)


def repeatable(statement: str) -> bool | None:
    """Whether to repeat a statement after a reset: True. None: it changes no session. False: only the receiver
    that executed it can repeat it.
    """
    bare = _COMMENTS.sub("", statement)
    if _WITHOUT_EFFECT.match(bare) or not bare:
        return None
    if not _REPEATABLE.match(bare):
        return False
    if bare[:6].upper() == "SELECT" and "set_config" not in bare:
        # A query without a function call changes nothing; nor do the type lookups of Django's and psycopg's own.
        return None if "(" not in bare or _LOOKUP.search(bare) else True
    return True


def with_parameters(reset: bytes, values: tuple[str | None, ...]) -> tuple[bytes, bytes]:
    """The statement that sets the parameters REPORTED to these values, and a `reset` that ends with it.

    For a session whose startup packet was not its server's: a pooler may apply `options` by SET, which a reset undoes.
    """
    pairs = [(name, value) for name, value in zip(REPORTED, values, strict=True) if value is not None]
    calls = [f"pg_catalog.set_config('{name}', {_quoted(value)}, false)" for name, value in pairs]
    statement = f"SELECT {', '.join(calls)}".encode()
    parts = "\n;".join(PARTS).encode() if reset == DISCARD else reset
    return statement, parts + b"\n;" + statement


def _quoted(value: str) -> str:
    return " E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


class Recording:
    """Records what is executed on a new connection until `finish`."""

    def __init__(self, conn: Any) -> None:
        self._conn = conn
        self._factory = conn.cursor_factory
        self._own: list[str] = []
        self._handlers: list[str] = []
        self._current = self._own
        self._before: tuple[Any, ...] = ()
        conn.cursor_factory = self._recording_cursor(self._factory)

    def handlers_begin(self) -> None:
        """From here on it is connection_created's receivers that execute."""
        self._current = self._handlers
        self._before = wire.attributes(self._conn)

    def finish(self, role_at_startup: bool = False) -> tuple[bytes, bool]:
        """The reset to send at the end of each request, and whether connection_created must be sent again after it.

        `role_at_startup`: the startup packet named a role, which DISCARD ALL would lose.
        """
        self._conn.cursor_factory = self._factory
        send_again = any(repeatable(each) is False for each in self._handlers)
        statements = self._own if send_again else [*self._own, *self._handlers]
        again = [each for each in statements if repeatable(each)] + wire.replay(self._conn, self._before)
        if not again and not role_at_startup:
            return DISCARD, send_again
        # A statement may end in a comment: hence the line break before each separator.
        return "\n;".join([*PARTS, *again]).encode(), send_again

    def _recording_cursor(self, base: Any) -> Any:
        recording = self

        class RecordingCursor(base):  # type: ignore[misc]
            def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Any:
                result = super().execute(query, params, **kwargs)
                recording._current.append(wire.text(self, query, params))
                return result

            def executemany(self, query: Any, params_seq: Any, **kwargs: Any) -> Any:
                recording._current.append("executemany")  # not repeatable: its receiver must be called again
                return super().executemany(query, params_seq, **kwargs)

            def callproc(self, *args: Any) -> Any:
                recording._current.append("callproc")
                return super().callproc(*args)

        return RecordingCursor
