"""How long what was sent may stay without an acknowledgement."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change


@change
class TcpUserTimeout(Change):
    """Keepalives do not run while something is unacknowledged; this one does."""

    id = "tcp-user-timeout"
    does = "A connection whose packets are not acknowledged for 5 s is given up."
    costs = "nothing; a network that is gone for longer costs the connection"
    source = "https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-TCP-USER-TIMEOUT"
    promises = ("bounded-wait", "recovers")

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        return None if now.options.get("tcp_user_timeout") else Laid(options={"tcp_user_timeout": 5000})
