"""How long a connect may take."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change


@change
class ConnectTimeout(Change):
    """libpq waits for ever by default, the kernel for two minutes."""

    id = "connect-timeout"
    does = "A connect that gets no answer ends after 3 s."
    costs = "nothing; a server that needs longer to accept is not reached"
    source = "https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-CONNECT-TIMEOUT"
    promises = ("bounded-wait", "recovers")

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        return None if now.options.get("connect_timeout") else Laid(options={"connect_timeout": 3})
