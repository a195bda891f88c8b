"""Django's pool taken out."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change


@change
class NoPool(Change):
    """What a pool breaks because sessions are handed on."""

    id = "no-pool"
    does = "Each request has a connection of its own, without a pool."
    costs = "a connect for each request that uses the database, and no limit on how many there are"
    source = "https://docs.djangoproject.com/en/stable/ref/databases/#connection-pool"
    promises = (
        *("clean-session", "replaces-stale", "bounded-wait", "writable", "recovers", "fork-safe", "initialised"),
        *("works-unfaulted", "idle-after-close", "atomic", "durable"),
    )
    price = 3

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        return Laid(options={"pool": None}) if now.pool else None
