"""End a process of the application's: what it was at goes on in the server, until that looks for its client."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from lab.fault import Fault, Missed, Seen, Sighting, Site, fault


@fault("kill", family="client", fatal=True, beside=True)
class Kill(Fault):
    """A process of the subject's gets a `signal` that ends it, unless it has a handler of its own and goes on.

    `process` is the name of a forked one, "" the first. SIGKILL is the kernel's for want of memory, SIGTERM a server's
    that is told to stop, SIGABRT a worker's timeout. Where the process catches or ignores it and goes on, the fault has
    missed, and the promise is n/a: none says that it must end.
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
        name = f"SIG{self.signal}"
        number = signal.Signals[name]
        handled = site.subject.handles(number, self.process)
        sent = site.subject.signal(number, self.process)

        def seen() -> Sighting | Missed | None:
            if sent and site.subject.ended(self.process):
                return Sighting(f"the process has ended {'by its own handler of' if handled else 'with'} {name}")
            goes_on = f"the process was sent {name}, which it catches or ignores, and goes on: no promise is at stake"
            return Missed(goes_on) if sent and handled else None

        yield seen
