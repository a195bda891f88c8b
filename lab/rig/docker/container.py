"""One container of the rig: started, ended, frozen, asked."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import requests
from docker.errors import APIError
from docker.models.containers import Container

from lab.errors import ServerNotReady
from lab.rig.docker.engine import asking

CONFLICT = 409
"""What the engine answers when a container is not in the state for it, e.g. has ended already."""

STOPPED = "T"


class Inmate(NamedTuple):
    """A process by the number that it has inside its container."""

    pid: int
    parent: int
    state: str


class RigContainer:
    """A container, `sdk` as the Docker SDK has it; every call takes milliseconds, `start` and `run` some 60 to 400."""

    def __init__(self, sdk: Container) -> None:
        self.sdk = sdk

    @property
    def pid(self) -> int:
        """Its first process, as this machine knows it. Raises `ServerNotReady` when it does not run."""
        with asking(f"inspect {self.sdk.name}"):
            self.sdk.reload()
        if not (pid := int(self.sdk.attrs["State"]["Pid"])):
            raise ServerNotReady(f"the container {self.sdk.name} is not running", "start it first")
        return pid

    def running(self) -> bool:
        """Whether it is there; it may be paused."""
        with asking(f"inspect {self.sdk.name}"):
            self.sdk.reload()
        return bool(self.sdk.attrs["State"]["Running"])

    def start(self) -> None:
        """Start it, with the address that it had."""
        with asking(f"start {self.sdk.name}"):
            self.sdk.start()

    def kill(self, signal: str = "SIGKILL") -> None:
        """Signal its first process; no-op when it has ended."""
        with asking(f"{signal} to {self.sdk.name}"), _unless_conflict():
            self.sdk.kill(signal)

    def ended(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for it to end."""
        # What docker-py raises for a wait that takes too long depends on where the waiting happened.
        with suppress(requests.Timeout, requests.ConnectionError), asking(f"wait for {self.sdk.name}"):
            self._wait(timeout)
        return not self.running()

    def _wait(self, timeout: float) -> None:
        try:
            self.sdk.wait(timeout=timeout, condition="not-running")
        except (requests.Timeout, requests.ConnectionError):
            pass

    def pause(self) -> None:
        """Stop all its processes where they are; its kernel goes on acknowledging."""
        with asking(f"pause {self.sdk.name}"), _unless_conflict():
            self.sdk.pause()

    def unpause(self) -> None:
        """Let them run; no-op when it is not paused."""
        with asking(f"unpause {self.sdk.name}"):
            self.sdk.reload()
            if self.sdk.attrs["State"]["Paused"]:
                self.sdk.unpause()

    def run(self, script: str, *arguments: str) -> str | None:
        """What a shell script in the container prints, with its $1, $2…; None: it failed, or nobody is there."""
        try:
            with asking(f"exec in {self.sdk.name}"):
                status, output = self.sdk.exec_run(["sh", "-c", script, "sh", *arguments], demux=False)
        except ServerNotReady:
            if self.running():
                raise
            return None
        return output.decode(errors="replace") if status == 0 and isinstance(output, bytes) else None

    def inmates(self) -> list[Inmate]:
        """All processes in it."""
        # Those that end meanwhile have no file any more, and cat says so by its status.
        found = self.run("cat /proc/[0-9]*/stat 2>/dev/null || true") or ""
        return [_inmate(line) for line in found.splitlines()]

    def said(self, lines: int = 8) -> str:
        """The last of what it printed, on one line, for an error message."""
        with asking(f"logs of {self.sdk.name}"):
            said = self.sdk.logs(tail=lines)
        return " ".join(said.decode(errors="replace").split())


def _inmate(line: str) -> Inmate:
    pid, _, rest = line.partition(" (")
    state, parent, *_ = rest.rpartition(")")[2].split()
    return Inmate(int(pid), int(parent), state)


class _unless_conflict(suppress):  # noqa: N801 - a `with` word
    """Let pass that the container is not in the state for it."""

    def __init__(self) -> None:
        super().__init__(APIError)

    def __exit__(self, kind: object, error: object, traceback: object) -> bool:
        return isinstance(error, APIError) and error.status_code == CONFLICT
