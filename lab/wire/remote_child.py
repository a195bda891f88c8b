"""The wire tap as a process of its own: calls come in as JSON lines, records and answers go out as JSON lines.

    python remote_child.py PIDFD        started by lab/wire/remote.py, never by hand

A call is `[number, what, port, arguments]`. Records go out as `["r", port, records]`, an answer as `["a", number,
result]` or `["e", number, message, remedy]`; a call with the number 0 gets none. A record that was written before a
call was served goes out before its answer. Calls are served in the tap's own thread, between two turns of its loop. The
process ends with its parent: when the pipe of the calls ends, or when the parent's pidfd says so (a forked copy of it
holds the pipe open as well).
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Callable
from itertools import groupby
from typing import Any, Final

import msgspec

from lab.errors import LabError
from lab.wire.journal import Event, Message, Record
from lab.wire.rule import Rule
from lab.wire.tap import Tap, TapPort

READY: Final = "Z"

AT_ONCE: Final = 0.0
SOON: Final = 0.001
"""Seconds that a ReadyForQuery waits for what the client says next: one write of both wakes the lab once."""

RARELY: Final = 50_000
"""Objects between two garbage collections: a tap makes thousands for each case, hardly any in a reference cycle."""

_ENCODER = msgspec.json.Encoder()


class Opening(msgspec.Struct):
    """What `open` takes: the server (HOST and port, or a socket's path), its rules, whether ReadyForQuery is urgent."""

    upstream: tuple[str, int] | str
    rules: list[Rule]
    push: bool


class Acting(msgspec.Struct):
    """What `act` takes."""

    way: str
    connection: int | None
    sides: str


class Out:
    """The pipe back. Records wait here for the next urgent one, or for the next answer; for the tap's thread alone."""

    def __init__(self, fd: int, loop: asyncio.AbstractEventLoop) -> None:
        self._fd = fd
        self._loop = loop
        self._waiting: list[tuple[int, Record]] = []
        self._later: asyncio.TimerHandle | None = None

    def record(self, port: int, record: Record, within: float | None) -> None:
        """Take a record; send it, and what waited, within so many seconds, or with what is sent next (None)."""
        self._waiting.append((port, record))
        if within == AT_ONCE:
            self._write(b"")
        elif within is not None and self._later is None:
            self._later = self._loop.call_later(within, self._write, b"")

    def answer(self, *answer: object) -> None:
        """Send an answer, after all that waited."""
        self._write(_ENCODER.encode(answer) + b"\n")

    def _write(self, last: bytes) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        waiting, self._waiting = self._waiting, []
        lines = [
            _ENCODER.encode(("r", port, [record for _, record in group])) + b"\n"
            for port, group in groupby(waiting, key=lambda pair: pair[0])
        ]
        data = b"".join([*lines, last])
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            os._exit(0)  # nobody reads any more: the parent is gone


class Urgency:
    """Which records of a port are waited for: each that goes out at once wakes a thread of the lab's.

    Acts, and the end of a connection; with `push` also the answer to what had been held. What else happens comes with
    the next of these, or with an answer.
    """

    def __init__(self, *, push: bool) -> None:
        self._push = push
        self._let_go: set[int] = set()
        """Connections on which something that was held is under way."""

    def within(self, record: Record) -> float | None:
        """In how many seconds this one is to be sent; None: with the next that is."""
        if isinstance(record, Message):
            if record.type != READY or record.connection not in self._let_go:
                return None
            self._let_go.remove(record.connection)
            return SOON
        if isinstance(record, Event):
            if self._push and record.event == "resumed":
                self._let_go.add(record.connection)
            return AT_ONCE if record.event == "closed" else None
        return AT_ONCE


class Served:
    """The lines of this tap, by the port that they listen on, and what may be asked of them."""

    def __init__(self, tap: Tap, out: Out) -> None:
        self._tap = tap
        self._out = out
        self._lines: dict[int, TapPort] = {}

    def serve(self, what: str, port: int, arguments: msgspec.Raw) -> object:
        """Do it and return the answer. Raises LabError."""
        calls: dict[str, Callable[[int, msgspec.Raw], object]] = {
            "open": self._open,
            "arm": self._arm,
            "disarm": lambda port, _: self._lines[port].disarm(),
            "act": self._act,
            "resume": lambda port, raw: self._lines[port].resume(_read(raw, int | None)),
            "journal": lambda *_: None,
            "close": self._close,
            "failures": lambda *_: [repr(each) for each in self._tap.failures],
        }
        return calls[what](port, arguments)

    def _open(self, _: int, raw: msgspec.Raw) -> int:
        opening = _read(raw, Opening)
        urgency = Urgency(push=opening.push)

        def sink(record: Record) -> None:  # in this thread, and so not before the port is known
            self._out.record(number, record, urgency.within(record))

        line = self._tap.open(opening.upstream, rules=opening.rules, sink=sink)
        number: int = line.port
        self._lines[number] = line
        return number

    def _arm(self, port: int, raw: msgspec.Raw) -> None:
        self._lines[port].arm(_read(raw, Rule))

    def _act(self, port: int, raw: msgspec.Raw) -> int:
        acting = _read(raw, Acting)
        way: Any = acting.way
        sides: Any = acting.sides
        hit: int = self._lines[port].act(way, acting.connection, sides)
        return hit

    def _close(self, port: int, _: msgspec.Raw) -> None:
        self._lines.pop(port).close()


def _read(raw: msgspec.Raw, kind: Any) -> Any:
    return msgspec.json.decode(raw, type=kind)


CALL: Final = msgspec.json.Decoder(tuple[int, str, int, msgspec.Raw])


class Calls:
    """Takes calls from a pipe in the tap's loop, until the pipe ends or the process behind `pidfd` has ended."""

    def __init__(self, tap: Tap, out: Out, pipe: int, pidfd: int) -> None:
        self._tap = tap
        self._out = out
        self._pipe = pipe
        self._served = Served(tap, out)
        self._rest = b""
        self.over = threading.Event()
        tap.loop.add_reader(pipe, self._read)
        if pidfd >= 0:
            tap.loop.add_reader(pidfd, self._end)

    def _read(self) -> None:
        data = os.read(self._pipe, 1 << 16)
        if not data:
            self._end()
            return
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            call = CALL.decode(line)
            if call[1] == "journal":
                # A barrier: what is readable now is read in this turn of the loop or in the next.
                self._tap.loop.call_soon(self._tap.loop.call_soon, self._answer, *call)
            else:
                self._answer(*call)

    def _answer(self, number: int, what: str, port: int, arguments: msgspec.Raw) -> None:
        answer: tuple[object, ...]
        try:
            answer = "a", number, self._served.serve(what, port, arguments)
        except LabError as error:
            answer = "e", number, error.message, error.remedy
        except KeyError:
            answer = "e", number, f"the tap has no port {port}", "open it first"
        if number:
            self._out.answer(*answer)

    def _end(self) -> None:
        self._tap.loop.remove_reader(self._pipe)
        self.over.set()


def main(pidfd: int) -> None:
    """Serve until the parent is gone."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what anybody prints must not get among the answers
    gc.freeze()
    gc.set_threshold(RARELY)
    with Tap() as tap:
        out = Out(answers, tap.loop)
        calls = tap.call(lambda: Calls(tap, out, 0, pidfd))
        calls.over.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
