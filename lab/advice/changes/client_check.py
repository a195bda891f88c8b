"""The server looks whether the client is there while it works for it."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change, server_option


@change
class ClientCheck(Change):
    """A query whose client has given up otherwise runs to its end, and holds a session."""

    id = "client-check"
    does = "The server looks every second whether the client of a running query is still there."
    costs = "a system call a second for each running query; PostgreSQL 14 or later"
    source = (
        "https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-CLIENT-CONNECTION-CHECK-INTERVAL"
    )
    promises = ("bounded-sessions",)

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        return server_option(now, "client_connection_check_interval", "1000")
