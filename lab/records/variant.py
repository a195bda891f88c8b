"""A variant: one Django database configuration under test."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

Driver = Literal["psycopg2", "psycopg"]


class Variant(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """ENGINE, settings, driver and interpreter: everything but where the server is.

    `settings` and `options` are what a project writes in `DATABASES[alias]` and its OPTIONS. `module` names a
    Django settings module whose `DATABASES[alias]` is the base on which they are laid; it is loaded as a project is,
    in `folder`, apps and all, unless `bare`: then nothing else of it is used. `claims` lists the
    promises that its authors make; None means all of them. `threads` is the number of concurrent requests that
    the variant says it is made for, None without limit. `bound` is the longest wait that it claims, in seconds.
    `keeps` says whether it keeps sessions between requests; None leaves that to its settings and its code. `maximum` is
    the number of sessions that it states as the most for each process and alias, 0 where it states none. `limits` are
    the moments, by promise, of which its documentation says that it does not make the promise there.
    """

    name: str
    engine: str = "django.db.backends.postgresql"
    driver: Driver = "psycopg2"
    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    python: str = ""
    path: tuple[str, ...] = ()
    module: str = ""
    alias: str = "default"
    folder: str = ""
    bare: bool = False
    claims: tuple[str, ...] | None = None
    threads: int | None = None
    bound: float | None = None
    keeps: bool | None = None
    maximum: int = 0
    summary: str = ""
    limits: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def claimed(self, promise: str, *moments: str) -> bool:
        """Whether this variant makes the promise, at one of the `moments` if any are given.

        A variant without a list makes all promises, but for its documented limits.
        """
        if moments and set(moments) <= set(self.limits.get(promise, ())):
            return False
        return self.claims is None or promise in self.claims


class Traits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the subject found when it imported the variant: versions, resolved settings, what the ENGINE replaces.

    `overrides` are the methods of `BaseDatabaseWrapper` that the ENGINE replaces with its own, beyond those that
    Django's own PostgreSQL backend replaces. `settings` are JSON data, with text for what is none, and without secrets.
    `kept` is the number of sessions that were seen to stay idle after requests, 0 where no request got a session that
    an earlier one had used, None where nobody has looked; `kept_outside`: a thread that begins no request was seen to
    keep its session. `levels` are the numbers of sessions that were open when requests, one at a time, two at a time
    and so on, had stopped opening new ones; empty where there were never more sessions than requests,
    and where nobody has looked. `queue_limit` sessions were in use when a further request was seen to wait: 0 where
    none waits, where a pool states its size, and where nobody has looked. `keeping` says in words what is kept.
    `uncounted`: each look was void, so that more sessions than requests are no accusation.
    `serves` and `lasts`: so many requests a kept session was seen to serve, and so many seconds to stay, without ending
    of itself: 0 where sessions end now after one number, now after another; None where nobody has looked.
    `commits`: close() was seen to commit what was pending (None: it was not asked). `receivers` are the project's own
    of the signals that concern connections, and what of it runs in a forked process.
    """

    versions: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    conn_max_age: float | None = 0
    health_checks: bool = False
    pool_max: int = 0
    autocommit: bool = True
    use_tz: bool = True
    read_only: bool = False
    atomic_requests: bool = False
    receivers: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    kept: int | None = None
    kept_outside: bool | None = None
    levels: tuple[int, ...] = ()
    queue_limit: int = 0
    keeping: str = ""
    uncounted: bool = False
    serves: int | None = None
    lasts: float | None = None
    commits: bool | None = None

    @property
    def own_close(self) -> bool:
        """Whether the ENGINE decides for itself what closing a connection means."""
        return bool({"close", "_close"} & set(self.overrides))

    def level(self, in_flight: int) -> int:
        """How many sessions an ENGINE that states no maximum may have open for so many requests in flight.

        One for each request; where more were seen to be kept, as many as were seen. Beyond the probed
        numbers, each further request adds as many as the last probed one did, and at least one.
        """
        levels = (0, *self.levels)
        known = min(in_flight, len(self.levels))
        more = max(levels[-1] - levels[-2], 1) if len(self.levels) > 1 else 1
        return max(in_flight, levels[known] + (in_flight - known) * more)
