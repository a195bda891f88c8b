"""How long a statement may take."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change, server_option


@change
class StatementTimeout(Change):
    """The server's: its error cannot arrive where the network is silent."""

    id = "statement-timeout"
    does = "The server cancels a statement after 8 s."
    costs = "reports and migrations that take longer need a setting of their own"
    source = "https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-STATEMENT-TIMEOUT"
    promises = ("bounded-wait", "bounded-sessions")
    price = 2

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        return server_option(now, "statement_timeout", "8000")
