"""Rotate the password: the new one is valid and in the settings, the old one has ended; open sessions stay."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("rotate-password", family="server", beside=True, needs=["password"])
class RotatePassword(Fault):
    """The plan's roles get another password, which the subject's settings have at once; the old one is refused (28P01).

    It stays so for the rest of the plan: what must recover is a client that asks its settings again. A pool, or an
    ENGINE, that keeps the parameters with which it once connected goes on with the old one for ever.
    """

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Change the passwords; they are put back when the plan is over, and not before."""
        old = {user: site.password(user) for user in site.users}
        new = secrets.token_hex(8)
        for user in old:
            site.server.rotate(user, new)
            site.give(user, new)

        def seen() -> Sighting | None:
            rotated = all(
                site.attempt(user, new) == "served" and site.attempt(user, before) == "refused"
                for user, before in old.items()
            )
            return Sighting(f"{len(old)} roles have a new password, the old one is refused") if rotated else None

        yield seen
