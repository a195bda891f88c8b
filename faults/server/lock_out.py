"""Lock out: sessions that are there work on, and one that is given up cannot be replaced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("lock-out", family="server", lasting=True, connecting=True, needs=("password",))
class LockOut(Fault):
    """The plan's passwords are wrong (28P01) until the heal, as after a rotation; sessions that are there stay."""

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Change the passwords; healing puts back what was there."""
        users = site.users

        def seen() -> Sighting | None:
            refused = bool(users) and all(site.attempt(user) == "refused" for user in users)
            return Sighting(f"the password of {len(users)} roles is refused") if refused else None

        with ExitStack() as stack:
            for user in users:
                stack.enter_context(site.server.lock_out(user))
            yield seen
