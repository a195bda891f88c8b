"""The backends' own settings: OPTIONS["persistent"] of an entry in DATABASES."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True)
class Limits:
    """All durations are float seconds; None means without limit where it is allowed."""

    query_deadline: float | None = 8.0
    """Longest wait for one call: a statement, COMMIT, ROLLBACK, setting up a session. Whatever takes longer is given up
    with an OperationalError, and its session with it. The only bound that a proxy which still acknowledges cannot
    defeat. Raise it where statements are slow, or use `connection.query_deadline(seconds)` around them."""
    check_deadline: float = 1.0
    """Longest wait at checkout for the answer to the last request's reset."""
    idle_check: float | None = 30.0
    """A session parked for longer is asked an empty question before it is used: silent loss (NAT, firewall) leaves no
    trace on the socket. None: never."""
    max_age: float | None = None
    """A session older than this is replaced at checkout. A CONN_MAX_AGE above 0 says the same."""
    connect_attempts: int = 3
    """Failed attempts to connect that one request may cause; after that one a second."""
    spares: int = 20
    """persistent_threadlocal under ASGI and gevent, where a thread or greenlet ends with its request: the most sessions
    per process and alias that are kept all the same."""
    reset: bool = True
    """Reset the session's state at the end of each request. False breaks clean-session, for what it saves."""
    startup_options: bool = True
    """Send TimeZone and the like in the startup packet's `options`, where a reset cannot lose them. False for poolers
    that refuse `options`, or names in it (PgBouncer): then they are set by statements, at a slightly dearer reset."""

    @classmethod
    def of(cls, given: Mapping[str, Any] | None, max_age: float | None = None) -> Limits:
        """Those of OPTIONS["persistent"]; raises ImproperlyConfigured for what is not one of the fields, or senseless.

        `max_age` is CONN_MAX_AGE: Django's default 0 says nothing here, because keeping is what the engine is for.
        """
        values = dict(given or {})
        names = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - names):
            raise ImproperlyConfigured(f"OPTIONS['persistent'] has no {unknown}; it has {sorted(names)}")
        values.setdefault("max_age", max_age or None)
        limits = cls(**values)
        for name in ("query_deadline", "idle_check", "max_age", "check_deadline", "connect_attempts", "spares"):
            value = getattr(limits, name)
            needed = name in ("check_deadline", "connect_attempts", "spares")
            if (value is None and needed) or (value is not None and not value > 0):
                raise ImproperlyConfigured(f"OPTIONS['persistent'][{name!r}] is {value!r}; it must be above 0")
        return limits


CONNECT_TIMEOUT = 3
"""Seconds for TCP, authentication and startup together, where OPTIONS says nothing (libpq takes whole seconds)."""

LIBPQ_DEFAULTS: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
"""For what OPTIONS leaves open. The kernel's own (two hours) would outwait any request.

No tcp_user_timeout: it also runs while a busy server's window is closed, and would end a healthy bulk load. That each
call has a deadline of its own bounds what is sent, too.
"""

CLIENT_CHECK_MS = 2000
"""client_connection_check_interval: how soon a server notices, in mid-statement, that this client gave up."""
