"""A connection for each request."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change


@change
class NoKeptConnection(Change):
    """Nothing that a request leaves on its session is there for the next one."""

    id = "no-kept-connection"
    does = "Each request has a connection of its own, which is closed with it."
    costs = "a connect for each request that uses the database: some milliseconds, and a process of the server"
    source = "https://docs.djangoproject.com/en/stable/ref/settings/#conn-max-age"
    promises = (
        *("replaces-stale", "clean-session", "idle-after-close", "bounded-sessions", "bounded-wait", "writable"),
        *("recovers", "keeps-healthy", "fork-safe", "steady-session", "alias-separate", "initialised"),
    )
    price = 3

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        return Laid({"CONN_MAX_AGE": 0}) if now.settings.get("CONN_MAX_AGE", 0) != 0 and not now.pool else None
