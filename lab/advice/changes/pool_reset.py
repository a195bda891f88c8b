"""What a pool does with a connection that comes back."""

from __future__ import annotations

from importlib.resources import files

from lab.advice.change import Change, Laid, Now, change, pool_options

SOURCE = files("lab.subject") / "inside" / "connection_lab_inside" / "resets.py"
RESET = "import:connection_lab_inside.resets.reset_session"


@change
class PoolReset(Change):
    """For what a request leaves in its session: without it the next request gets that, be it of another user."""

    id = "pool-reset"
    does = "The pool makes each session that comes back as it was when it began."
    costs = "two queries after each request, in a thread of the pool; in tests, too, a connection is given back later"
    source = "https://www.psycopg.org/psycopg3/docs/api/pool.html#psycopg_pool.ConnectionPool"
    promises = ("clean-session",)
    price = 2

    @property
    def code(self) -> str:
        """The function, whose name is the pool's `reset`."""
        text = SOURCE.read_text(encoding="utf-8")
        return text[text.index("def ") :].replace("[ALIAS]", '["default"]').rstrip()

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        given = pool_options(now)
        return None if given is None or "reset" in given else Laid(options={"pool": {**given, "reset": RESET}})
