"""Connect to a server that can be written to."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change


@change
class SessionAttrs(Change):
    """Asked at connect alone: a kept session of a server that was demoted stays."""

    id = "read-write-server"
    does = "A connect goes on until it finds a server that can be written to."
    costs = "for servers before PostgreSQL 14 a query at each connect"
    source = "https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS"
    promises = ("writable",)

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        if now.options.get("target_session_attrs"):
            return None
        return Laid(options={"target_session_attrs": "read-write"})
