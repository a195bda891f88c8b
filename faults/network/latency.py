"""Latency: a healthy connection whose answers come late must not be taken for a dead one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Annotated

import msgspec

from faults.network._slow import slowed
from lab.fault import Fault, Seen, Site, fault

QUESTION_BYTES = 8
LEAST_MS = 5  # below that the machine's own noise is as long


@fault("latency", family="network", lasting=True, heal_cuts=True)
class Latency(Fault):
    """Answers come `latency_ms` milliseconds late, give or take `jitter_ms`.

    On connections that are there too; the delay stays 5 ms or more, so that it can be told from the machine's own.
    """

    latency_ms: Annotated[int, msgspec.Meta(ge=LEAST_MS, le=60_000)] = 200
    jitter_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0

    def __post_init__(self) -> None:
        """Whatever the jitter, there must be a delay to be seen."""
        if self.latency_ms - self.jitter_ms < LEAST_MS:
            raise ValueError(f"latency_ms - jitter_ms must be >= {LEAST_MS}")

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Delay the server's data; healing ends the connections."""
        least = (self.latency_ms - self.jitter_ms) / 1000
        delay = {"latency_ms": self.latency_ms, "jitter_ms": self.jitter_ms}
        return slowed(site, least, QUESTION_BYTES, "latency", "downstream", **delay)
