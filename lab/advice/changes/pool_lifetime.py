"""How old a connection of the pool may become."""

from __future__ import annotations

from typing import Any

from lab.advice.change import Change, Laid, Now, change


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
        pool: Any = now.options.get("pool")
        given = pool if isinstance(pool, dict) else {}
        if not pool or "max_lifetime" in given or any(isinstance(value, str) for value in given.values()):
            return None
        return Laid(options={"pool": {**given, "max_lifetime": 1 if proof else 300}})
