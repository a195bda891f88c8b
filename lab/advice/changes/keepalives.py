"""Probes of a connection on which nothing is said."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change

PROBES = {"keepalives": 1, "keepalives_idle": 2, "keepalives_interval": 1, "keepalives_count": 3}


@change
class Keepalives(Change):
    """They end a wait for an answer of a server that has vanished; not one that a proxy still acknowledges."""

    id = "keepalives"
    does = "The kernel asks whether the server is there while a query waits, and gives up after 5 s without an answer."
    costs = "a packet every few seconds on each quiet connection"
    source = "https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-KEEPALIVES-IDLE"
    promises = ("bounded-wait", "recovers", "bounded-sessions")

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        return None if now.options.get("keepalives_idle") else Laid(options=dict(PROBES))
