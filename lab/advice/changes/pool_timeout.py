"""How long a request waits for one of the pool's connections."""

from __future__ import annotations

from typing import Any

from lab.advice.change import Change, Laid, Now, change

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
        pool: Any = now.options.get("pool")
        if not pool or (isinstance(pool, dict) and ("timeout" in pool or not _plain(pool))):
            return None
        return Laid(options={"pool": {**(pool if isinstance(pool, dict) else {}), "timeout": SECONDS}})


def _plain(pool: dict[str, Any]) -> bool:
    """Whether all its values are data: callables were told as texts, and cannot be laid on again."""
    return not any(isinstance(value, str) for value in pool.values())
