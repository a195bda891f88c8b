"""The lab's end of the subject: start a zygote, fork a child per plan, send it steps, hear how they ended."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from lab.errors import EngineUnusable, LabError, SubjectLost
from lab.records.codec import convert
from lab.records.variant import Traits, Variant

AGENT = Path(__file__).parent / "inside" / "agent.py"
ROOT = Path(__file__).resolve().parents[2]
LONGEST_MESSAGE = 1 << 16
INTERRUPTED = b'{"interrupted": true}'
START_DEADLINE = 30.0  # seconds; a real project's settings module may import a lot
FORK_DEADLINE = 10.0
REAP_DEADLINE = 5.0

Message = dict[str, Any]


class ChildEnded(Exception):
    """The child's channel is closed: it ended, or was killed."""


class Child:
    """One plan's subject process, seen from the lab. Used by one thread at a time."""

    def __init__(self, zygote: Zygote, channel: socket.socket, pid: int) -> None:
        self._zygote = zygote
        self._channel = channel
        self._interrupted = 0
        self.pid = pid

    def send(self, message: Message) -> None:
        """Hand over a step; raises ChildEnded when nobody is there to take it."""
        try:
            self._channel.send(json.dumps(message).encode())
        except OSError as error:
            raise ChildEnded(str(error)) from None

    def receive(self, timeout: float) -> Message | None:
        """The next answer, or None when there is none within `timeout` seconds; raises ChildEnded."""
        ready, _, _ = select.select([self._channel], [], [], max(timeout, 0.0))
        if not ready:
            return None
        try:
            data = self._channel.recv(LONGEST_MESSAGE)
        except OSError as error:
            raise ChildEnded(str(error)) from None
        if not data:
            raise ChildEnded("the channel is closed")
        answer: Message = json.loads(data)
        if "interrupted" in answer:
            self._interrupted += 1
            return self.receive(timeout)  # that of the step comes next
        return answer

    def interrupted(self) -> int:
        """How often the handler has run inside a step; its message comes before the step's answer."""
        ready, _, _ = select.select([self._channel], [], [], 0.0)
        if ready and self._channel.recv(LONGEST_MESSAGE, socket.MSG_PEEK) == INTERRUPTED:
            self._channel.recv(LONGEST_MESSAGE)
            self._interrupted += 1
        return self._interrupted

    def interrupt(self) -> None:
        """Send the signal whose handler raises in whatever the main actor is doing."""
        os.kill(self.pid, signal.SIGUSR1)

    def end(self, deadline: float = 2.0) -> int:
        """Let it end by itself within `deadline` seconds, then kill it; its exit status, negative for a signal."""
        try:
            self.send({"do": "bye"})
            until = time.monotonic() + deadline
            while time.monotonic() < until:
                self.receive(until - time.monotonic())
        except ChildEnded:
            return self._reap()
        return self.kill()

    def kill(self) -> int:
        """SIGKILL, wherever it is; its exit status."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self._reap()

    def _reap(self) -> int:
        self._channel.close()
        return self._zygote.reap(self.pid)


class Zygote:
    """A process that has imported one variant and forks a child per plan. Threads of the lab share it.

    Start it from the lab's main thread: its parent-death signal is tied to the thread that started it.
    Raises EngineUnusable when the variant cannot be imported or configured.
    """

    def __init__(self, variant: Variant, folder: Path, environ: dict[str, str] | None = None) -> None:
        self.variant = variant
        self._lock = threading.Lock()
        self._log = folder / f"subject-{variant.name.replace('/', '_')}-{time.monotonic_ns()}.log"
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        executable = variant.python or sys.executable
        with theirs, self._log.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    [executable, str(AGENT), str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=folder,
                    env={**os.environ, **(environ or {})},
                    start_new_session=True,  # Ctrl-C is for the lab, which then ends its subjects
                )
            except OSError as error:
                raise EngineUnusable(
                    f"interpreter {executable} does not start: {error.strerror}", "give another with --python"
                ) from None
        config = {
            "engine": "" if variant.module and not variant.engine else variant.engine,
            "driver": variant.driver,
            "settings": variant.settings,
            "options": variant.options,
            "path": [str(Path(entry).resolve()) for entry in variant.path],
            "module": variant.module,
            "alias": variant.alias,
            "root": str(ROOT),
        }
        try:
            hello = self._call(config, START_DEADLINE)
        except LabError:
            self.close()
            raise EngineUnusable(
                f"the subject of {variant.name} ended before it could import the variant: {self.last_words()}",
                "try the same import in that interpreter",
            ) from None
        if "refused" in hello:
            self.close()
            raise EngineUnusable(hello["refused"], "check the name, --path, --driver and --setting")
        self.engine: str = hello.pop("engine")
        self.traits = convert(hello, Traits)

    def fork(self, environ: dict[str, str], databases: dict[str, Message]) -> Child:
        """A child for one plan, with the server's address in its settings."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            answer = self._call({"environ": environ, "databases": databases}, FORK_DEADLINE, theirs.fileno())
        return Child(self, ours, answer["pid"])

    def reap(self, pid: int) -> int:
        """The exit status of a child that has ended or is about to."""
        status: int = self._call({"reap": pid}, REAP_DEADLINE)["status"]
        return status

    def last_words(self) -> str:
        """The last line that the subject printed."""
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        return lines[-1] if lines else "it printed nothing"

    def close(self) -> None:
        """End the zygote; its children end with it."""
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def _call(self, message: Message, deadline: float, *descriptors: int) -> Message:
        with self._lock:
            try:
                socket.send_fds(self._channel, [json.dumps(message, default=str).encode()], list(descriptors))
                ready, _, _ = select.select([self._channel], [], [], deadline)
                data = self._channel.recv(LONGEST_MESSAGE) if ready else b""
            except OSError:
                data = b""
        if not data:
            raise SubjectLost(f"the subject of {self.variant.name} does not answer: {self.last_words()}")
        answer: Message = json.loads(data)
        return answer
