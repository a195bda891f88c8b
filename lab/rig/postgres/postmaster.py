"""One PostgreSQL server process over one data folder: started, stopped, killed, its children signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from lab.errors import ServerNotReady
from lab.fault import StopMode
from lab.rig.machine import process
from lab.rig.machine.process import Home, Identity
from lab.rig.postgres.binaries import Binaries
from lab.timing import CHILD_GRACE, STOP

START_TIMEOUT = 20.0
RETRY_INTERVAL = 0.05
STOP_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
ENVIRON = {
    "LD_BIND_NOW": "1",
    "GLIBC_TUNABLES": "glibc.malloc.trim_threshold=33554432:glibc.malloc.mmap_threshold=33554432"
    ":glibc.malloc.top_pad=1048576",
}
"""Symbols are bound once, by the postmaster, and not by each session after its fork; and a session keeps the memory of
one statement for the next, instead of giving it back and asking for it anew, page by page."""
# What a new postmaster says, and ends, while processes of the old one still end.
STILL_ENDING = ("pre-existing shared memory block", "Is another postmaster", "could not bind")


@dataclass(frozen=True)
class Installation:
    """What a postmaster needs to run: programs, data folder, the lab's home, the user and the log file."""

    binaries: Binaries
    data: Path
    home: Home
    identity: Identity | None
    log: Path


class Postmaster:
    """A server process and its life. Not thread-safe: a server is restarted under the rig's lock for exclusive use."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.generation = 0
        """How often it was started: connections of an older generation are dead."""
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The postmaster's pid. Raises `ServerNotReady` when none is running."""
        if self._child is None:
            raise ServerNotReady("PostgreSQL is not running", "start it first")
        return self._child.pid

    def running(self) -> bool:
        """Whether the process is there; it may be frozen, starting or in recovery."""
        return self._child is not None and self._child.poll() is None

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Start and wait until sessions are accepted. No-op when running.

        Retries while processes of an earlier postmaster still end. Raises `ServerNotReady` after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not self.running():
            offset = self._log_size()
            self._spawn()
            if self._became_ready(deadline):
                return
            said = self._log_since(offset)
            self._discard()
            if time.monotonic() > deadline or not any(sign in said for sign in STILL_ENDING):
                raise ServerNotReady(f"PostgreSQL did not start: {' '.join(said[-600:].split())}", "run lab doctor")
            time.sleep(RETRY_INTERVAL)

    def wait_ready(self, timeout: float = START_TIMEOUT) -> None:
        """Wait until sessions are accepted, e.g. while it recovers. `ServerNotReady` after `timeout` seconds."""
        if not self._became_ready(time.monotonic() + timeout):
            raise ServerNotReady(
                f"PostgreSQL is not ready after {timeout:.0f} s: {process.tail(self.installation.log)}"
            )

    def stop(self, mode: StopMode = "fast", timeout: float | None = None) -> bool:
        """Stop as PostgreSQL's `mode` says; True when it ended so, False when it was killed after `timeout` seconds.

        A frozen session keeps every mode from ending, a connected one keeps smart from ending.
        """
        if self._child is None:
            return True
        children = self.children()
        if self.running():
            self._child.send_signal(STOP_SIGNALS[mode])
        in_order = process.ended(self._child, STOP.seconds if timeout is None else timeout)
        if not in_order:
            children = self.children()
            self._child.kill()
        self._bury(children, 0.0)
        return in_order

    def kill(self, grace: float | None = None) -> None:
        """SIGKILL the postmaster; its children find out and end, or are killed after `grace` seconds."""
        if self._child is None:
            return
        children = self.children()
        self._child.kill()
        self._bury(children, CHILD_GRACE.seconds if grace is None else grace)

    def children(self) -> list[psutil.Process]:
        """All processes that the postmaster started: sessions, checkpointer, WAL writer..."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except (psutil.Error, ServerNotReady):
            return []

    def signal_child(self, pid: int, name: signal.Signals) -> bool:
        """Send a signal to one child; False when `pid` is no child of ours (any more): then nothing is sent."""
        try:
            child = psutil.Process(pid)
            if child.ppid() != self.pid:
                return False
            child.send_signal(name)  # psutil checks that the pid still is this process
        except psutil.NoSuchProcess:
            return False
        return True

    def _spawn(self) -> None:
        installation = self.installation
        # O_CLOEXEC is Python's default; append, so that one file tells the story of all restarts.
        log = os.open(installation.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            argv = [installation.binaries.postgres, "-D", str(installation.data)]
            self._child = process.spawn(
                argv, installation.home, stdout=log, identity=installation.identity, environ=ENVIRON
            )
        finally:
            os.close(log)
        self.generation += 1

    def _became_ready(self, deadline: float) -> bool:
        process.wait_until(lambda: self._is_ready() or not self.running(), deadline - time.monotonic())
        return self._is_ready()

    def _is_ready(self) -> bool:
        """The postmaster writes its state into its pid file: an event to look for that costs no connection."""
        try:
            lines = (self.installation.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        # Our pid, so that the file of a killed predecessor does not count.
        return self.running() and len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _discard(self) -> None:
        if self._child is not None:
            process.stop(self._child, signal.SIGQUIT)

    def _bury(self, children: list[psutil.Process], grace: float) -> None:
        """Reap the postmaster and see all its children end: only then may a successor use the folder."""
        if self._child is not None:
            self._child.wait()
        if process.wait_until(lambda: not any(map(_alive, children)), grace):
            return
        for child in filter(_alive, children):
            with suppress(psutil.NoSuchProcess):
                child.kill()
        process.wait_until(lambda: not any(map(_alive, children)), STOP.seconds)

    def _log_size(self) -> int:
        return self.installation.log.stat().st_size if self.installation.log.exists() else 0

    def _log_since(self, offset: int) -> str:
        with self.installation.log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")


def _alive(child: psutil.Process) -> bool:
    try:
        # An orphan stays a zombie until its new parent looks: in containers that takes seconds, or for ever.
        return child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
