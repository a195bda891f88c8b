"""End a process of the application's: what it was at goes on in the server, until that looks for its client."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("kill", family="client", fatal=True, beside=True)
class Kill(Fault):
    """A process of the subject's gets a `signal` that it has no handler for.

    `process` is the name of a forked one, "" the first. SIGKILL is the kernel's for want of memory, SIGTERM a server's
    that is told to stop, SIGABRT a worker's timeout.
    """

    signal: Literal["KILL", "TERM", "ABRT"] = "KILL"
    process: str = ""

    @property
    def ends_with(self) -> int:
        """That signal."""
        return -signal.Signals[f"SIG{self.signal}"]

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Send it; seen when the process has ended."""
        sent = site.subject.signal(signal.Signals[f"SIG{self.signal}"], self.process)

        def seen() -> Sighting | None:
            ended = sent and site.subject.ended(self.process)
            return Sighting(f"the process has ended with SIG{self.signal}") if ended else None

        yield seen
