"""Starts zygotes: each as a process of its own, or as a fork of a nursery, a process that has imported Django already.

Zygotes under the lab's own interpreter that are open at the same time, with the same environment and driver, share a
nursery. An interpreter of a project's has none: what runs when it starts (sitecustomize, a .pth file) must be held by
the warden already. What runs when the lab's own interpreter starts has run in the lab before.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Protocol, get_args

from lab.errors import SubjectLost
from lab.records.variant import Driver
from lab.timing import SUBJECT_FORK, SUBJECT_REAP, SUBJECT_START

START = Path(__file__).parent / "inside" / "start.py"
WARDEN = Path(__file__).parent / "warden.py"
LONGEST_MESSAGE = 1 << 16
OF_THIS_TEST = "PYTEST_CURRENT_TEST"
"""The one variable that differs from test to test; no import of Django's or a driver's reads it."""


class Warden(Protocol):
    """A subject's warden as a process; it ends with the status of its zygote."""

    pid: int

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status; raises subprocess.TimeoutExpired."""

    def kill(self) -> None:
        """SIGKILL; its zygote dies with it."""


class Forked:
    """A warden that a nursery has forked."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)  # nobody else reaps it, so that its number is still its own
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status; raises subprocess.TimeoutExpired."""
        if self._status is None:
            if not select.select([self._pidfd], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a warden", timeout or 0.0)
            self._status = self._nursery.reap(self.pid)
            os.close(self._pidfd)
            _leave(self._nursery)
        return self._status

    def kill(self) -> None:
        """SIGKILL; its zygote dies with it."""
        if self._status is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)


class Nursery:
    """A nursery, started when first needed. When its channel is closed it ends, and all that it forked with it."""

    def __init__(self, driver: str, folder: Path, environ: dict[str, str]) -> None:
        self.users = 0
        self._driver, self._folder, self._environ = driver, folder, environ
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def _start(self) -> None:
        """Start the process and wait until it has imported all."""
        with self._theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(START), "nursery", str(self._theirs.fileno()), str(WARDEN), self._driver],
                pass_fds=[self._theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self._folder,
                env=self._environ,
                start_new_session=True,
            )
        self._hear(SUBJECT_START.seconds)

    def fork(self, ends: Ends, folder: Path, test: str | None) -> Forked:
        """A warden and its zygote; raises SubjectLost where the nursery has gone."""
        with self._lock:
            if self._process is None:
                self._start()
            message = json.dumps({"environ": {OF_THIS_TEST: test}, "folder": str(folder)}).encode()
            return Forked(self, self._call(message, SUBJECT_FORK.seconds, *astuple(ends))["pid"])

    def reap(self, pid: int) -> int:
        """The status of a warden that has ended, negative for a signal; -9 where it ended with its nursery."""
        try:
            with self._lock:
                status = self._call(json.dumps({"reap": pid}).encode(), SUBJECT_REAP.seconds)["status"]
        except SubjectLost:
            return -signal.SIGKILL
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """End it."""
        self._channel.close()
        self._theirs.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _call(self, message: bytes, deadline: float, *descriptors: int) -> dict[str, Any]:
        try:
            socket.send_fds(self._channel, [message], list(descriptors))
        except OSError as error:
            raise SubjectLost(f"the process that forks subjects has gone: {error}") from None
        return self._hear(deadline)

    def _hear(self, deadline: float) -> dict[str, Any]:
        try:
            data = self._channel.recv(LONGEST_MESSAGE) if select.select([self._channel], [], [], deadline)[0] else b""
        except OSError:
            data = b""
        if not data:
            raise SubjectLost("the process that forks subjects does not answer")
        answer: dict[str, Any] = json.loads(data)
        return answer


_open: dict[object, Nursery] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Ends:
    """Descriptors: `channel` and `tell` (its guard) are the zygote's, `control` is its warden's, `log` serves both."""

    channel: int
    tell: int
    control: int
    log: int


def start(ends: Ends, driver: str, folder: Path, environ: dict[str, str], python: str) -> Warden:
    """A warden and its zygote under that interpreter; without a driver none is imported in advance."""
    if python == sys.executable:
        with suppress(SubjectLost):  # why a nursery fails is told by the process of its own that comes next, in its log
            return _fork(ends, driver, folder, environ)
    return _spawn(ends, folder, environ, python)


def _spawn(ends: Ends, folder: Path, environ: dict[str, str], python: str) -> Warden:
    own = {
        "argv": [python, str(START), "zygote", str(ends.channel), str(ends.tell)],
        "control": ends.control,
        "pass": [ends.channel, ends.tell],
    }
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(WARDEN), json.dumps(own)],
        pass_fds=[ends.channel, ends.tell, ends.control],
        stdin=subprocess.DEVNULL,
        stdout=ends.log,
        stderr=ends.log,
        cwd=folder,
        env=environ,
        start_new_session=True,  # Ctrl-C is for the lab, which then ends its subjects
    )


def _fork(ends: Ends, driver: str, folder: Path, environ: dict[str, str]) -> Warden:
    nursery = _enter(driver, folder, environ)
    try:
        return nursery.fork(ends, folder, environ.get(OF_THIS_TEST))
    except SubjectLost:
        _leave(nursery)
        raise


@contextmanager
def kept(folder: Path, environ: dict[str, str]) -> Iterator[None]:
    """Let zygotes with this environment share a nursery until the end, also those that are never open together."""
    used = [_enter(driver, folder, {**os.environ, **environ}) for driver in ("", *get_args(Driver))]
    try:
        yield
    finally:
        for each in used:
            _leave(each)


def _enter(driver: str, folder: Path, environ: dict[str, str]) -> Nursery:
    key = (str(WARDEN), driver, *sorted(item for item in environ.items() if item[0] != OF_THIS_TEST))
    with _lock:
        nursery = _open.get(key)
        if nursery is None:
            nursery = _open[key] = Nursery(driver, folder, environ)
        nursery.users += 1
        return nursery


def _leave(nursery: Nursery) -> None:
    """One user less; the last one ends the nursery."""
    with _lock:
        nursery.users -= 1
        if nursery.users:
            return
        for key in [key for key, each in _open.items() if each is nursery]:
            del _open[key]
    nursery.close()
