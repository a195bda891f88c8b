"""Django's own pool."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change


@change
class Pool(Change):
    """psycopg 3 with psycopg_pool alone, from Django 5.1."""

    id = "pool"
    does = "Django's pool lends at most four connections for each process, and checks them."
    costs = "a query for each request, and a thread in each process"
    source = "https://docs.djangoproject.com/en/stable/ref/databases/#connection-pool"
    promises = ("bounded-sessions", "idle-after-close", "replaces-stale")
    price = 3

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        if now.pool or now.driver != "psycopg":
            return None
        return Laid(
            {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True}, {"pool": {"min_size": 1, "max_size": 4, "timeout": 5}}
        )
