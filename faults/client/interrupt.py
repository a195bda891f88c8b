"""Interrupt an actor: a call that is left midway leaves its connection in mid-protocol for its next user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.fault import NOTHING, Fault, Missed, Raises, Seen, Sighting, Site, fault


@fault("interrupt", family="client", lazy=True, beside=True)
class Interrupt(Fault):
    """A signal handler raises in the present call of actor `t0`, as a worker's time limit does.

    `process` is the name of a forked one, whose actor it then is, "" the first. It `raises` an `exception`, as that
    time limit; or what is only a BaseException (`base`), as KeyboardInterrupt and gevent.Timeout are: it passes by
    `except Exception`, and the application goes on; or SystemExit (`exit`), as a handler of SIGTERM that ends its
    process in an orderly way.
    """

    raises: Raises = "exception"
    process: str = ""

    @property
    def ends_with(self) -> int | None:
        """An orderly end, after SystemExit."""
        return 0 if self.raises == "exit" else None

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Send the signal; seen when the handler has raised inside a step."""
        before, idle = site.subject.interrupted(), site.subject.found_idle()
        site.subject.interrupt(self.raises, self.process)

        def seen() -> Sighting | Missed | None:
            if site.subject.interrupted() > before:
                return Sighting("the signal handler raised inside a step")
            return NOTHING if site.subject.found_idle() > idle else None

        yield seen
