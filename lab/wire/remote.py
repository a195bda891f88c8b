"""The wire tap in a process of its own, for a client that lives in *this* process.

    with TapProcess() as tap, tap.open(("127.0.0.1", 5432), [Rule.parse("commit-acked+0", "fin")]) as port:
        ...  # connect to 127.0.0.1:port.port
        port.wait(lambda record: isinstance(record, Act), 5.0)

Everything goes by two pipes: it works where a test suite forbids sockets, and what the suite does to this process's
clock or threads does nothing to the tap. The tap ends when this process does, however that comes.

Records are pushed. An act and the end of a connection come at once, and with them all that was written before; other
records come with the next of those. Of a port that is opened with `push` the ReadyForQuery of what had been held and
let go comes within a millisecond. An answer to any call comes after every record that was written before the call was
served. Deadlines are of the kernel's monotonic clock, which no test can freeze.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec

import lab
from lab.errors import LabError
from lab.records.words import Sides, Way
from lab.wire.journal import Act, Record, describe
from lab.wire.rule import Rule
from lab.wire.tap import Upstream

ANSWERS_WITHIN: Final = 30.0
"""Seconds that the tap's process may take to answer a call; it takes less than a millisecond on a quiet machine."""

_ENCODER = msgspec.json.Encoder()
_PUSHED: msgspec.json.Decoder[tuple[str, int, msgspec.Raw]] = msgspec.json.Decoder(tuple[str, int, msgspec.Raw])
_RECORDS: msgspec.json.Decoder[list[Record]] = msgspec.json.Decoder(list[Record])
_ANSWER: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[Any])


def now() -> float:
    """Seconds of the clock that the tap's `at_ns` is of; frozen by no test library."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class RemotePort:
    """A listening port of the tap, everything that connects to it, and their journal. Made by `TapProcess.open`."""

    host: Final = "127.0.0.1"

    def __init__(self, tap: TapProcess, port: int, sink: Callable[[Record], None] | None) -> None:
        self.port = port
        self._tap = tap
        self._sink = sink
        self._records: list[Record] = []
        self._came = threading.Condition()
        self._closed = False

    @property
    def records(self) -> list[Record]:
        """What has come so far, oldest first; a copy."""
        return self._records.copy()

    @property
    def acts(self) -> list[Act]:
        """The acts among them: empty means that no fault of this port was seen to land."""
        return [record for record in self._records if isinstance(record, Act)]

    def journal(self) -> list[Record]:
        """All that the tap has written down until now, every socket read that a peer has written to or closed."""
        if not self._closed:
            self._tap.call("journal", self.port)
        return self.records

    def arm(self, rule: Rule) -> None:
        """Add a rule. Occurrences are counted from now."""
        self._tap.call("arm", self.port, rule)

    def disarm(self) -> None:
        """Forget all rules; stalls stay."""
        self._tap.call("disarm", self.port)

    def let_go(self) -> None:
        """Forget all rules and end every stall, soon: this does not wait for it."""
        self._tap.tell("disarm", self.port)
        self._tap.tell("resume", self.port)

    def act(self, way: Way, connection: int | None = None, sides: Sides = "both") -> int:
        """Act now on the live connections, or on one by its ordinal; return how many were hit."""
        hit: int = self._tap.call("act", self.port, {"way": way, "connection": connection, "sides": sides})
        return hit

    def resume(self, connection: int | None = None) -> None:
        """End every stall, of all connections or of one; what was held passes soon: this does not wait for it."""
        self._tap.tell("resume", self.port, connection)

    def wait(self, predicate: Callable[[Record], bool], seconds: float, since: int = 0) -> Record:
        """Return the first record that satisfies the predicate, past or to come; `since` leaves out the oldest ones.

        Raises TimeoutError, which says what came last.
        """
        ends = now() + seconds
        with self._came:
            while True:
                while since < len(self._records):
                    since += 1
                    if predicate(self._records[since - 1]):
                        return self._records[since - 1]
                if (left := ends - now()) <= 0:
                    raise TimeoutError(f"the tap did not say so within {seconds:g} s, the last was: {self._last()}")
                self._came.wait(left)

    def wait_until(self, happened: Callable[[], bool], seconds: float) -> bool:
        """Ask again at each record that comes, until it holds (True) or `seconds` have passed (False)."""
        ends = now() + seconds
        with self._came:
            while not happened():
                if (left := ends - now()) <= 0:
                    return False
                self._came.wait(left)
        return True

    def nudge(self) -> None:
        """Make `wait_until` ask again."""
        with self._came:
            self._came.notify_all()

    def close(self) -> None:
        """Stop listening and close every connection in good order, soon: this does not wait for it.

        What is written down from here on does not come any more. Calling it twice does nothing.
        """
        if not self._closed:
            self._closed = True
            self._tap.tell("close", self.port)
            self._tap.forget(self)

    def came(self, records: list[Record]) -> None:
        """For the client's reader."""
        self._records += records
        if self._sink is not None:
            for record in records:
                self._sink(record)
        with self._came:
            self._came.notify_all()

    def _last(self) -> str:
        return describe(self._records[-1]) if self._records else "nothing"

    def __enter__(self) -> RemotePort:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class TapProcess:
    """The tap's process. Use it as a context manager, or `start` and `close` it. Calls may come from any thread."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._ports: dict[int, RemotePort] = {}
        self._answers: dict[int, Future[Any]] = {}
        self._known: dict[int, Callable[[Any], None]] = {}
        self._number = 0
        self._lock = threading.Lock()
        self._owner = os.getpid()

    @property
    def pid(self) -> int:
        """The tap's process."""
        assert self._child is not None
        return self._child.pid

    def start(self) -> TapProcess:
        """Start it, without waiting for it: the first call does. Starting a running tap does nothing."""
        if self._child is None:
            self._owner = os.getpid()
            pidfd = own_pidfd()
            self._child = subprocess.Popen(
                # Without site and the environment: a quicker start, and nothing of the suite's own gets in.
                [sys.executable, "-I", "-S", "-c", _PROGRAM, *_homes(), str(pidfd)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[pidfd] if pidfd >= 0 else [],
                cwd="/",
                start_new_session=True,  # a Ctrl-C in the terminal is for the suite alone
            )
            if pidfd >= 0:
                os.close(pidfd)
            threading.Thread(target=self._read, args=(self._child.stdout,), name="wire tap", daemon=True).start()
        return self

    def close(self) -> None:
        """End it, and with it every connection through it. Closing a closed tap does nothing."""
        child, self._child = self._child, None
        if child is None or self._owner != os.getpid():  # a forked copy has no tap of its own
            return
        assert child.stdin is not None
        with suppress(OSError):  # a call that a dead tap never read is still to be written
            child.stdin.close()
        try:
            child.wait(ANSWERS_WITHIN)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def open(
        self,
        upstream: Upstream,
        rules: Iterable[Rule] = (),
        *,
        push: bool = False,
        sink: Callable[[Record], None] | None = None,
    ) -> RemotePort:
        """Listen on a free loopback port and pass everything to `upstream`; `rules` are armed before anybody connects.

        Records come along with the next act, end of a connection or answer; with `push` the ReadyForQuery of what was
        let go brings them within a millisecond.
        `sink` is called with each record, in the thread that reads the pipe: it must not call the tap. Raises BadInput
        when the upstream's name is not known.
        """
        made: list[RemotePort] = []

        def known(port: int) -> None:  # in the reader, so that no record can come before it
            made.append(RemotePort(self, port, sink))
            self._ports[port] = made[0]

        self.call("open", 0, {"upstream": upstream, "rules": list(rules), "push": push}, known)
        return made[0]

    def failures(self) -> list[str]:
        """Errors inside the relay itself: always empty, or the lab has a bug."""
        found: list[str] = self.call("failures", 0)
        return found

    def call(self, what: str, port: int, arguments: object = None, known: Callable[[Any], None] | None = None) -> Any:
        """Ask the tap and wait for its answer. Raises LabError."""
        try:
            return self.send(what, port, arguments, known).result(ANSWERS_WITHIN)
        except TimeoutError:
            raise LabError(f"the wire tap did not answer {what!r} within {ANSWERS_WITHIN:g} s") from None

    def send(
        self, what: str, port: int, arguments: object = None, known: Callable[[Any], None] | None = None
    ) -> Future[Any]:
        """Ask the tap; the answer comes later. Calls are served in the order in which they are sent.

        Raises LabError.
        """
        answer: Future[Any] = Future()
        self._check()
        with self._lock:
            self._number += 1
            number = self._number
            self._answers[number] = answer
            if known is not None:
                self._known[number] = known
            self._write(number, what, port, arguments)
        return answer

    def tell(self, what: str, port: int, arguments: object = None) -> None:
        """Have the tap do something whose answer nobody waits for, which is then not sent. Raises LabError."""
        self._check()
        with self._lock:
            self._write(0, what, port, arguments)

    def _check(self) -> None:
        if self._child is None:
            raise LabError("the wire tap is not running", "start it first")

    def _write(self, number: int, what: str, port: int, arguments: object) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        with suppress(OSError):  # it is gone: the reader has said so, or will
            self._child.stdin.write(_ENCODER.encode((number, what, port, arguments)) + b"\n")
            self._child.stdin.flush()

    def forget(self, port: RemotePort) -> None:
        """A port has closed itself."""
        self._ports.pop(port.port, None)

    # -- in the reader's thread

    def _read(self, pipe: Any) -> None:
        with suppress(OSError, ValueError), pipe:
            for line in pipe:
                kind, number, raw = _PUSHED.decode(line) if line.startswith(b'["r"') else ("", 0, b"")
                if kind == "r":
                    if (port := self._ports.get(number)) is not None:
                        port.came(_RECORDS.decode(raw))
                else:
                    self._answered(*_ANSWER.decode(line))
        for answer in list(self._answers.values()):
            if not answer.done():
                answer.set_exception(LabError("the wire tap's process has ended", "run the test again"))

    def _answered(self, kind: str, number: int, *said: Any) -> None:
        answer = self._answers.pop(number)
        if kind == "e":
            answer.set_exception(LabError(*said))
            return
        if (known := self._known.pop(number, None)) is not None:
            known(said[0])
        answer.set_result(said[0])

    def __enter__(self) -> TapProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


_PROGRAM: Final = """
import sys
sys.path += sys.argv[1:-1]
from lab.wire.remote_child import main
main(int(sys.argv[-1]))
"""


def _homes() -> list[str]:
    """The folders that the lab and msgspec are imported from, which is all that the tap needs."""
    return sorted({str(Path(file).parents[1]) for file in (lab.__file__, msgspec.__file__) if file})


def own_pidfd() -> int:
    """A descriptor by which a child learns that this process has ended; -1 where there is none (not Linux)."""
    try:
        return os.pidfd_open(os.getpid())
    except (AttributeError, OSError):
        return -1
