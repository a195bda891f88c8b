"""What faults may do to a PostgreSQL in a container, beyond what they may do to any."""

from __future__ import annotations

import itertools
import select
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2

from lab.errors import ServerNotReady
from lab.rig.docker.container import RigContainer
from lab.rig.docker.engine import asking
from lab.rig.docker.postgres import DockerPostgres
from lab.rig.postgres.connection import OwnConnection
from lab.rig.postgres.server import PostgresServer
from lab.timing import MEMORY_KILL

PERIOD_US = 100_000
UNLIMITED = -1
LIMIT = 256 << 20
"""Bytes that the server may have while it runs out of memory: more than it has, shared buffers and page cache too."""

HOG = "SELECT length(repeat('x', 900000000))"
"""Wants nearly a gigabyte, and writes to every page of it."""


CPU_STAT = "cat /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/cpu/cpu.stat 2>/dev/null || true"
MEMORY_STAT = "cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null || true"
"""Where the two kinds of cgroups have it."""


class DockerServer(PostgresServer):
    """A server with limits of processor and memory."""

    def __init__(self, postgres: DockerPostgres, control: Callable[[], OwnConnection]) -> None:
        super().__init__(postgres, control)
        self._container: RigContainer = postgres.postmaster.container
        self._docker = postgres

    @contextmanager
    def throttle(self, cpu_percent: int) -> Iterator[None]:
        """The server's processes share so much of one processor for the length of the block."""
        try:
            self._update(cpu_period=PERIOD_US, cpu_quota=PERIOD_US * cpu_percent // 100)
            yield
        finally:
            self._update(cpu_quota=UNLIMITED)

    def throttled(self) -> int:
        """In how many periods the kernel has held the server back so far."""
        return self._counter(CPU_STAT, "nr_throttled")

    def exhaust_memory(self) -> None:
        """Let the kernel kill a session of ours for want of memory; returns when the server answers again."""
        self.restarts += 1
        before = self.memory_kills()
        with closing(self._docker.connect()) as bystander:
            try:
                self._update(mem_limit=LIMIT, memswap_limit=LIMIT)
                until = time.monotonic() + MEMORY_KILL.seconds
                while self.memory_kills() == before:
                    if time.monotonic() > until:
                        raise ServerNotReady(f"the server does not run out of {LIMIT >> 20} MB", "look at its limits")
                    self._hog()
            finally:
                # The engine takes no "unlimited" for memory; all that the machine has is as good.
                self._update(mem_limit=self._machine(), memswap_limit=self._machine())
            # The postmaster finds out a moment later, and then ends everybody.
            if not select.select([bystander], [], [], MEMORY_KILL.seconds)[0]:
                raise ServerNotReady("the server goes on without a process that was killed", "run lab doctor")
        self._docker.start()  # had it been the postmaster, all would be gone
        self._docker.wait_ready()

    def memory_kills(self) -> int:
        """How many of the server's processes the kernel has killed for want of memory since its container started."""
        return self._counter(MEMORY_STAT, "oom_kill")

    def _hog(self) -> None:
        try:
            with self._docker.connect() as greedy:
                greedy.execute(HOG)
        except (psycopg2.OperationalError, ServerNotReady):
            return  # it was killed, or ends with the one that was

    def _machine(self) -> int:
        client = self._container.sdk.client
        assert client is not None  # it came with the container
        with asking("info"):
            return int(client.info()["MemTotal"])

    def _counter(self, script: str, name: str) -> int:
        words = (self._container.run(script) or "").split()
        return max((int(value) for word, value in itertools.pairwise(words) if word == name), default=0)

    def _update(self, **limits: Any) -> None:
        with asking("limit PostgreSQL's container"):
            self._container.sdk.update(**limits)
