"""How old a connection of the pool may become."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change, pool_options


@change
class PoolLifetime(Change):
    """Bounds for how long a session that went bad is handed out; it cannot mend the request that meets it."""

    id = "pool-lifetime"
    does = "The pool replaces a connection after five minutes, instead of an hour."
    costs = "a connect in the background now and then"
    source = "https://www.psycopg.org/psycopg3/docs/api/pool.html#psycopg_pool.ConnectionPool"
    promises = ("replaces-stale", "writable")
    scaled = "max_lifetime: 1 second instead of 300"

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        given = pool_options(now)
        if given is None or "max_lifetime" in given:
            return None
        return Laid(options={"pool": {**given, "max_lifetime": 1 if proof else 300}})
