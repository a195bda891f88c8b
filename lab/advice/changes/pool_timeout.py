"""How long a request waits for one of the pool's connections."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change, pool_options

SECONDS = 5


@change
class PoolTimeout(Change):
    """psycopg_pool waits for 30 seconds by default."""

    id = "pool-timeout"
    does = f"A request that gets none of the pool's connections within {SECONDS} s is told so."
    costs = "nothing; under overload requests fail sooner"
    source = "https://www.psycopg.org/psycopg3/docs/api/pool.html#psycopg_pool.ConnectionPool"
    promises = ("bounded-wait", "recovers")

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        given = pool_options(now)
        if given is None or "timeout" in given:
            return None
        return Laid(options={"pool": {**given, "timeout": SECONDS}})
