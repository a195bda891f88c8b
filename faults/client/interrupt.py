"""Interrupt the main actor: a call that is left midway leaves its connection in mid-protocol for its next user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("interrupt", family="client", lazy=True)
class Interrupt(Fault):
    """A signal handler raises an exception in the present call of actor `t0`, as a worker's time limit does."""

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Send the signal; seen when the handler has raised inside a step."""
        before = site.subject.interrupted()
        site.subject.interrupt()

        def seen() -> Sighting | None:
            again = site.subject.interrupted() > before
            return Sighting("the signal handler raised inside a step") if again else None

        yield seen
