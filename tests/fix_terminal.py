"""The command line on a real terminal: a pseudo-terminal whose other end the test reads and types at."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 120.0
"""Seconds after which a command is taken to hang."""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")


class OnTerminal:
    """One command on a pseudo-terminal of 40 lines and 150 columns; `seen` is what it printed, without colours."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        folder: Path,
        environ: dict[str, str],
        python: tuple[str, ...] = ("-m", "lab.cli"),
    ) -> None:
        self._end, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))
        plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        store = {"LAB_STORE": str(folder / "store"), "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            # util-linux's setsid gives the command the terminal, so that Ctrl-C on its keyboard is SIGINT.
            ["setsid", "--ctty", sys.executable, *python, *arguments],
            cwd=folder,
            env={**plain, **store, **environ},
            stdin=other,
            stdout=other,
            stderr=other,
        )
        os.close(other)
        self._bytes = b""

    @property
    def pid(self) -> int:
        """Of the command."""
        return self._process.pid

    @property
    def seen(self) -> str:
        """All that was printed so far."""
        return ESCAPES.sub("", self._bytes.decode(errors="replace"))

    def until(self, text: str) -> None:
        """Read until `text` has been printed; what was seen instead is in the failure."""
        deadline = time.monotonic() + LONGEST
        while text not in self.seen:
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{text!r} was not printed; last seen: {self.seen[-2000:]}")

    def quiet(self, seconds: float = 0.3) -> None:
        """Read until nothing has come for so long: for what must not be printed."""
        while self._read(seconds):
            pass

    def type(self, keys: str) -> None:
        """Type on its keyboard."""
        os.write(self._end, keys.encode())

    def interrupt_once_it_reads_keys(self) -> None:
        """Send SIGINT to the command alone, once it has told the terminal to give it each key."""
        deadline = time.monotonic() + LONGEST
        while termios.tcgetattr(self._end)[3] & termios.ICANON:
            assert time.monotonic() < deadline, f"it never read keys; last seen: {self.seen[-2000:]}"
            time.sleep(0.01)
        os.kill(self._process.pid, signal.SIGINT)

    def status(self) -> int:
        """Its exit status, once it has ended."""
        deadline = time.monotonic() + LONGEST
        while self._read(max(deadline - time.monotonic(), 0.0)):
            pass
        try:
            return self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end; last seen: {self.seen[-2000:]}") from None

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._end)

    def _read(self, seconds: float) -> bool:
        """Whether something came within so many seconds; False at the end, too."""
        ready, _, _ = select.select([self._end], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self._end, 65536)
        except OSError:  # EIO: the other end is closed
            return False
        self._bytes += data
        return bool(data)


Terminal = Callable[..., OnTerminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """`terminal("check", "mine", LAB_RIG=…)`: the command on a terminal of its own, ended with the test."""
    started: list[OnTerminal] = []

    def start(*arguments: str, cwd: Path = tmp_path, **environ: str) -> OnTerminal:
        started.append(OnTerminal(arguments, cwd, environ))
        return started[-1]

    yield start
    for each in started:
        each.close()
