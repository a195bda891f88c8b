"""The bundled variants: one frozen row each. The lab finds them by name and lays them on its own server.

`claims` lists what a row's own text or documentation promises; the lab's verdicts are the same facts either way, but
only a broken claim fails a check. A new variant is one more row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PERSISTENT = ("reuses", "replaces-stale", "recovers", "commits-on-close")
"""What the published snippet's text claims of both its backends."""

DJANGO = ("aborts-cleanly", "isolated-threads")
"""What Django's documentation says of any connection, without a "but": what was rolled back leaves no trace, and each
thread has connections of its own. It warns of errors that are caught inside atomic() and of close() in it (atomic,
durable), and sets no deadlines (bounded-wait): what the lab shows there are limits, not broken claims."""


@dataclass(frozen=True)
class Row:
    """One Django database configuration and what it claims; `claims` None: everything.

    `settings` and `options` are what a project writes in `DATABASES["default"]` and its OPTIONS. `threads` is the
    number of concurrent requests that it says it is made for, None without limit. `bound` is the longest wait that
    it claims, in seconds. `keeps` says whether it keeps sessions between requests; None leaves that to its settings.
    `limits` are moments, by promise, of which its documentation says that it does not make the promise there.
    """

    name: str
    engine: str
    claims: tuple[str, ...] | None
    summary: str
    driver: str = "psycopg2"
    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    threads: int | None = None
    bound: float | None = None
    keeps: bool | None = None
    limits: dict[str, tuple[str, ...]] = field(default_factory=dict)


ROWS = (
    Row(
        name="published_global",
        engine="backend_under_test.published_global",
        claims=PERSISTENT,
        summary="the published snippet: one connection in a global variable; it says itself that it is not thread-safe",
        threads=1,
        keeps=True,
    ),
    Row(
        name="published_threadlocal",
        engine="backend_under_test.published_threadlocal",
        claims=(*PERSISTENT, "isolated-threads"),
        summary="the published snippet: one connection in each thread's local storage",
        keeps=True,
    ),
    Row(
        name="django_per_request",
        engine="django.db.backends.postgresql",
        claims=(*DJANGO, "idle-after-close"),
        summary="Django's default: a connection per request (CONN_MAX_AGE=0)",
        settings={"CONN_MAX_AGE": 0},
    ),
    Row(
        name="django_persistent",
        engine="django.db.backends.postgresql",
        claims=("reuses", *DJANGO),
        summary="Django keeps one connection per thread for ever (CONN_MAX_AGE=None)",
        settings={"CONN_MAX_AGE": None},
    ),
    Row(
        name="django_health_checks",
        engine="django.db.backends.postgresql",
        claims=("reuses", "replaces-stale", *DJANGO),
        summary="the same, checked by a query before each request's first use (CONN_HEALTH_CHECKS)",
        settings={"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True},
        # Its documentation speaks of requests.
        limits={"replaces-stale": ("in a command", "in an executor's thread")},
    ),
    Row(
        name="django_pool",
        engine="django.db.backends.postgresql",
        claims=("reuses", *DJANGO, "idle-after-close"),
        summary="Django's connection pool (psycopg_pool with its defaults), which checks nothing",
        driver="psycopg",
        settings={"CONN_MAX_AGE": 0},
        options={"pool": True},
    ),
    Row(
        name="persistent_global",
        engine="backend_under_test.persistent_global",
        claims=None,
        summary="the global one repaired: one session per process, for workers with one thread",
        threads=1,
        keeps=True,
    ),
    Row(
        name="persistent_threadlocal",
        engine="backend_under_test.persistent_threadlocal",
        claims=None,
        summary="the thread-local one repaired: one session per thread",
        keeps=True,
        limits={"bounded-sessions": ("in an executor's thread",)},
    ),
)
