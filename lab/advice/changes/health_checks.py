"""A query before a kept connection's first use in a request."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change


@change
class HealthChecks(Change):
    """Of Django's pool it is the pool's `check`."""

    id = "health-checks"
    does = "Django checks a kept connection before its first use in a request, and replaces one that is dead."
    costs = "one query without a table for each request"
    source = "https://docs.djangoproject.com/en/stable/ref/databases/#persistent-database-connections"
    promises = ("replaces-stale", "recovers", "keeps-healthy", "writable", "idle-after-close", "works-unfaulted")

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        if now.settings.get("CONN_HEALTH_CHECKS") or not now.kept:
            return None
        return Laid({"CONN_HEALTH_CHECKS": True})
