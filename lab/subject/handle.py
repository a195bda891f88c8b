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
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from lab.errors import EXTRA, AddressRefused, BadInput, EngineUnusable, LabError, SubjectLost
from lab.fault import Raises
from lab.records.codec import convert
from lab.records.secret import KEYS, mask_text, mask_texts, maskable, masked, telling
from lab.records.variant import Traits, Variant
from lab.subject import nursery
from lab.subject.guard import Guard, Place
from lab.timing import SUBJECT_END, SUBJECT_FORK, SUBJECT_REAP, SUBJECT_START

ROOT = Path(__file__).resolve().parents[2]
LONGEST_MESSAGE = 1 << 16
HANDLED: dict[Raises, int] = {
    "exception": signal.SIGUSR1,
    "base": signal.SIGUSR2,
    "exit": signal.SIGRTMIN + 1,
}
"""The signals for which the subject has handlers, by what they raise; SIGTERM ends it."""
INTERRUPTED, IDLE = b'{"interrupted": true}', b'{"interrupted": false}'
"""A handler has run: inside a step, or between two."""
SILENT = "it printed nothing"
NO_DJANGO = "Django does not import"
"""How inside/start.py begins to say so."""
MISSING = "No module named"
SIGNALLED = 128
"""As in lab/subject/warden.py: a status beyond it is that of a signal."""
IMPORT_VARIABLE = "LAB_IMPORT_TIMEOUT"
"""The environment variable that gives it more, or less."""


Message = dict[str, Any]


class ChildEnded(Exception):
    """The child's channel is closed: it ended, or was killed."""


class Child:
    """One plan's subject process, seen from the lab, with the processes that it forks. Used by one thread at a time."""

    def __init__(self, zygote: Zygote, channel: socket.socket, pid: int, places: Sequence[Place]) -> None:
        self._zygote = zygote
        self._places = places
        self._channel = channel
        self._interrupted = self._idle = 0
        self._forked: dict[str, socket.socket] = {}
        self._pids: dict[str, int] = {}
        self.pid = pid

    @property
    def files(self) -> int:
        """How many files it had open when it was forked."""
        return self._zygote.files

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the process and of those that it has forked and that have not ended."""
        return (self.pid, *self._pids.values())

    @property
    def processes(self) -> dict[str, int]:
        """The same by name, "" for the process itself."""
        return {"": self.pid, **self._pids}

    def runs(self, actor: str) -> bool:
        """Whether there is a process for the actor: `c0.t0` needs one called c0."""
        process, dot, _ = actor.rpartition(".")
        return not dot or process in self._forked

    def send(self, message: Message) -> None:
        """Hand over a step; raises ChildEnded when nobody is there to take it. A `fork` comes with a channel."""
        process = message["actor"].rpartition(".")[0] if "actor" in message else ""
        channel = self._forked.get(process, self._channel)
        try:
            if message["do"] != "fork":
                channel.send(json.dumps(message).encode())
                return
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            if (before := self._forked.pop(message["child"], None)) is not None:
                before.close()  # of that name there was one already, whose end nobody has waited for
            self._forked[message["child"]] = ours
            with theirs:
                socket.send_fds(channel, [json.dumps(message).encode()], [theirs.fileno()])
        except OSError as error:
            if channel is self._channel:
                raise ChildEnded(str(error)) from None  # of a forked one, `receive` tells

    def receive(self, timeout: float) -> Message | None:
        """The next answer, or None when there is none within `timeout` seconds; raises ChildEnded.

        When a forked process has ended, the answer is its name as `ended`.
        """
        channels = {self._channel: "", **{channel: name for name, channel in self._forked.items()}}
        ready, _, _ = select.select(list(channels), [], [], max(timeout, 0.0))
        if not ready:
            return None
        channel = ready[0]
        try:
            data = channel.recv(LONGEST_MESSAGE)
        except OSError as error:
            if channel is self._channel:
                raise ChildEnded(str(error)) from None
            data = b""
        if not data:
            return self._ended(channels[channel])
        text = data.decode()
        answer: Message = json.loads(text)
        if "chain" in answer:  # an error: perhaps what it wanted to reach was refused
            self._zygote.guard.check()
        if "interrupted" in answer:
            self._interrupted += answer["interrupted"]
            self._idle += not answer["interrupted"]
            return self.receive(timeout)  # that of the step comes next
        if (self._zygote.secrets or "chain" in answer) and maskable(text, self._zygote.secrets):
            answer = mask_texts(answer, self._zygote.secrets)
        if "child" in answer.get("value", {}):
            self._pids[answer["value"]["child"]] = answer["value"]["pid"]
        return answer

    def forget(self, process: str) -> None:
        """A process of that name did not come to be: its fork was skipped, or failed."""
        if (channel := self._forked.pop(process, None)) is not None:
            channel.close()

    def _ended(self, process: str) -> Message:
        if not process:
            raise ChildEnded("the channel is closed")
        self._forked.pop(process).close()
        self._pids.pop(process, None)
        return {"ended": process}

    def interrupted(self) -> int:
        """How often a handler has run inside a step; its message comes before the step's answer."""
        channels = [each for each in (self._channel, *self._forked.values()) if each.fileno() >= 0]
        ready, _, _ = select.select(channels, [], [], 0.0)
        for channel in ready:
            with suppress(OSError):  # of one that has ended, `receive` tells
                word = channel.recv(LONGEST_MESSAGE, socket.MSG_PEEK)
                if word in (INTERRUPTED, IDLE):
                    channel.recv(LONGEST_MESSAGE)
                    self._interrupted += word == INTERRUPTED
                    self._idle += word == IDLE
        return self._interrupted

    def found_idle(self) -> int:
        """How often a handler has run between two steps, where there was nothing to interrupt."""
        self.interrupted()
        return self._idle

    def give_password(self, aliases: Sequence[str], password: str) -> None:
        """Put a password into the settings of these aliases, in every process: what is sent later finds it there."""
        self._tell_all({"do": "password", "aliases": list(aliases), "password": password})

    def put_forward(self, seconds: float) -> None:
        """Let so much time pass by the clocks of every process: what is sent later happens after it."""
        self._tell_all({"do": "elapse", "seconds": seconds})

    def _tell_all(self, what: dict[str, Any]) -> None:
        message = json.dumps(what).encode()
        for channel in (self._channel, *self._forked.values()):
            with suppress(OSError):  # one that has ended needs none
                channel.send(message)

    def interrupt(self, raises: Raises = "exception", process: str = "") -> None:
        """Send the signal whose handler raises in whatever the process's main actor is doing."""
        self.signal(HANDLED[raises], process)

    def signal(self, number: int, process: str = "") -> bool:
        """Send a signal to the process, or to one that it has forked by that name; False when there is none."""
        pid = self._pids.get(process) if process else self.pid
        try:
            if pid is not None:
                os.kill(pid, number)
        except ProcessLookupError:
            return False
        return pid is not None

    def ended(self, process: str = "") -> bool:
        """Whether that process has ended, be it reaped or not."""
        pid = self._pids.get(process) if process else self.pid
        try:
            return pid is None or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def handles(self, number: int, process: str = "") -> bool:
        """Whether that process catches or ignores the signal, so that it ends when its own code says so, or never."""
        pid = self._pids.get(process) if process else self.pid
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
                name, _, mask = line.partition(":")
                if name in ("SigCgt", "SigIgn") and int(mask, 16) & 1 << (number - 1):
                    return True
        return False

    def end(self) -> int:
        """Let it end by itself, then kill it; its exit status, negative for a signal."""
        until = time.monotonic() + SUBJECT_END.seconds
        try:
            self._end_forked(until)
            self.send({"do": "bye"})
            while time.monotonic() < until:
                self.receive(until - time.monotonic())
        except ChildEnded:
            return self._reap()
        return self.kill()

    def _end_forked(self, until: float) -> None:
        """Let what it has forked end, until then; then kill it: the process itself waits for its children."""
        for channel in self._forked.values():
            with suppress(OSError):
                channel.send(b'{"do": "bye"}')
        while self._forked and time.monotonic() < until:
            self.receive(until - time.monotonic())
        for pid in self._pids.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill(self) -> int:
        """SIGKILL, wherever it is; its exit status."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self._reap()

    def _reap(self) -> int:
        for channel in (self._channel, *self._forked.values()):
            channel.close()
        status = self._zygote.reap(self.pid)
        self._zygote.guard.forbid(self._places)
        self._zygote.guard.check()
        return status


class Zygote:
    """A process that has imported one variant and forks a child per plan. Threads of the lab share it.

    One with an interpreter of its own is started from a thread that lives on: its parent-death signal is tied to that.
    Raises EngineUnusable when the variant cannot be imported or configured.
    """

    def __init__(self, variant: Variant, folder: Path, environ: dict[str, str] | None = None) -> None:
        limit = _import_limit()
        self.variant = variant
        self.secrets: tuple[str, ...] = ()  # values of the project's that no evidence may repeat
        self._lock = threading.Lock()
        self._log = folder / f"subject-{variant.name.replace('/', '_')}-{time.monotonic_ns()}.log"
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.guard = Guard()
        executable = variant.python or sys.executable
        driver = "" if variant.module or _has_driver(variant.path) else variant.driver
        with theirs, self._log.open("wb") as log:
            control, tell = (end.fileno() for end in self.guard.theirs)
            ends = nursery.Ends(theirs.fileno(), tell, control, log.fileno())
            self._process = nursery.start(ends, driver, folder, {**os.environ, **(environ or {})}, executable)
            self.guard.given()
        self.guard.started(SUBJECT_START.seconds)
        if self.guard.failed:
            self.close()
            raise EngineUnusable(
                f"interpreter {executable} does not start: {self.guard.failed}", "give another with --python"
            )
        self.guard.name = f"settings module {variant.module}" if variant.module else f"ENGINE {variant.engine}"
        config = {
            "engine": "" if variant.module and not variant.engine else variant.engine,
            "driver": variant.driver,
            "settings": variant.settings,
            "options": variant.options,
            "path": [str(Path(entry).resolve()) for entry in variant.path],
            "module": variant.module,
            "alias": variant.alias,
            "root": str(ROOT),
            "folder": variant.folder,
            "bare": variant.bare,
            "held": not self.guard.not_held,
            "secret_keys": KEYS,
        }
        try:
            hello = self._call(config, limit)
            self.guard.check()
        except AddressRefused:
            self.close()
            raise
        except LabError:
            importing = self._process.poll() is None and not self._ended()
            end = "" if importing else self._end()
            self.close()
            if importing:
                raise EngineUnusable(
                    f"{self.guard.name} is still importing after {limit:.0f} s",
                    f"give it more seconds with ${IMPORT_VARIABLE}, or see where it waits",
                ) from None
            if (said := self.last_words()).startswith(NO_DJANGO):
                raise EngineUnusable(said, _interpreter(variant) or "install it there") from None
            raise EngineUnusable(
                f"{self.guard.name} ended its interpreter{end} while it was imported: {said}",
                "try the same import in that interpreter",
            ) from None
        if "refused" in hello:
            self.close()
            said = mask_text(hello["refused"], telling(hello["secrets"]))
            other = hello["remedy"] or (_interpreter(variant, said) if MISSING in said else "")
            raise EngineUnusable(said, other or "check the name, --path, --driver and --setting")
        self.secrets = telling(hello.pop("secrets"))
        hello["settings"] = masked(hello["settings"], self.secrets)
        self.engine: str = hello.pop("engine")
        self.files: int = hello.pop("files")
        notes = [*hello.pop("notes"), *self.guard.notes()]
        if self.guard.not_held:
            notes.append(f"this system does not let the lab hold connections ({self.guard.not_held}): Python does")
        self.traits = convert({**hello, "notes": notes}, Traits)
        self.guard.name, self.guard.loading = f"ENGINE {self.engine}", False

    def fork(self, environ: dict[str, str], databases: dict[str, Message], init: Sequence[str] = ()) -> Child:
        """A child for one plan, with the server's address in its settings; `init`: what is executed on new sessions."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        places = [(str(where["HOST"]), int(where["PORT"])) for where in databases.values()]
        self.guard.allow(places)
        with theirs:
            message = {"environ": environ, "databases": databases, "init": list(init)}
            try:
                answer = self._call(message, SUBJECT_FORK.seconds, theirs.fileno())
            except BaseException:  # a stop, or a zygote that was closed meanwhile, too
                ours.close()
                self.guard.forbid(places)
                raise
        return Child(self, ours, answer["pid"], places)

    def reap(self, pid: int) -> int:
        """The exit status of a child that has ended or is about to."""
        status: int = self._call({"reap": pid}, SUBJECT_REAP.seconds)["status"]
        return status

    def last_words(self) -> str:
        """The last line that the subject printed; SILENT where there is none."""
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        return mask_text(lines[-1], self.secrets) if lines else SILENT

    def close(self) -> None:
        """End the zygote; its children end with it."""
        self._channel.close()
        self.guard.close()
        self._process.kill()
        self._process.wait()

    def _end(self) -> str:
        """How the subject's interpreter has ended, in words."""
        try:
            status = self._process.wait(SUBJECT_REAP.seconds)
        except subprocess.TimeoutExpired:
            return ""
        if status > SIGNALLED or status < 0:  # or its warden has ended by a signal, and it with that
            with suppress(ValueError):
                return f" by {signal.Signals(status - SIGNALLED if status > 0 else -status).name}"
        return f" with status {status}"

    def _ended(self) -> bool:
        """Whether the subject has closed its end of the channel."""
        ready, _, _ = select.select([self._channel], [], [], 0.0)
        return bool(ready)

    def _ready(self, deadline: float) -> bool:
        """Wait for an answer; raises AddressRefused as soon as a connection was refused that ends the check."""
        until = time.monotonic() + deadline
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([self._channel, *self.guard.files], [], [], left)
            self.guard.check()
            if self._channel in ready:
                return True
        return False

    def _call(self, message: Message, deadline: float, *descriptors: int) -> Message:
        with self._lock:
            try:
                socket.send_fds(self._channel, [json.dumps(message, default=str).encode()], list(descriptors))
                data = self._channel.recv(LONGEST_MESSAGE) if self._ready(deadline) else b""
            except OSError:
                data = b""
        if not data:
            raise SubjectLost(f"the subject of {self.variant.name} does not answer: {self.last_words()}")
        answer: Message = json.loads(data)
        return answer


def _has_driver(path: Iterable[str]) -> bool:
    """Whether a driver, or a part of one, may come from there: then the lab's own is not imported in advance."""
    return any(True for entry in path for _ in Path(entry).glob("psycopg*"))


def _interpreter(variant: Variant, said: str = "") -> str:
    """What to do where a module is missing: perhaps the project has an interpreter of its own, which was not named."""
    if variant.python:
        return ""
    if said.startswith("driver psycopg "):
        return f"pip install {EXTRA}, or give an interpreter that has it with --python"
    active = os.environ.get("VIRTUAL_ENV", "")
    if active and Path(active).resolve() != Path(sys.prefix).resolve():
        return f"give the project's interpreter: --python {Path(active) / 'bin' / 'python'}"
    return "give the project's interpreter with --python, or check the name, --path, --driver and --setting"


def _import_limit() -> float:
    """Seconds that an import may take; raises BadInput for what is no number."""
    given = os.environ.get(IMPORT_VARIABLE)
    try:
        return float(given) if given else SUBJECT_START.seconds
    except ValueError:
        raise BadInput(f"${IMPORT_VARIABLE} is {given!r}", "give a number of seconds") from None
