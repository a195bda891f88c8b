"""The server ends a session that stays in a transaction and does nothing."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change, server_option

NAME = "idle_in_transaction_session_timeout"


@change
class IdleInTransaction(Change):
    """What a request leaves open ends then, with its locks; its next user meets a dead connection."""

    id = "idle-in-transaction"
    does = "The server ends a session that has been in a transaction for a minute without doing anything."
    costs = "a request that pauses that long inside atomic() loses its transaction"
    source = (
        "https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-IN-TRANSACTION-SESSION-TIMEOUT"
    )
    promises = ("idle-after-close",)
    scaled = f"{NAME}: 200 ms instead of 60 s"

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        return server_option(now, NAME, "200" if proof else "60000") if now.kept else None
