"""The wire tap as a process of its own: calls come in as JSON lines, records and answers go out as JSON lines.

    python remote_child.py PIDFD        started by lab/wire/remote.py, never by hand

A call is `[number, what, port, arguments]`. A record goes out as `["r", port, record]`, an answer as `["a", number,
result]` or `["e", number, message, remedy]`. A record that was written before a call was served goes out before its
answer. The process ends with its parent: when the pipe of the calls ends, or when the parent's pidfd says so (a forked
copy of the parent holds the pipe open as well).
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from lab.errors import LabError
from lab.wire.journal import Message, Record
from lab.wire.rule import Rule
from lab.wire.tap import Tap, TapPort

_ENCODER = msgspec.json.Encoder()


class Opening(msgspec.Struct):
    """What `open` takes: the server (HOST and port, or a socket's path), its rules, whether every record is urgent."""

    upstream: tuple[str, int] | str
    rules: list[Rule]
    push: bool


class Acting(msgspec.Struct):
    """What `act` takes."""

    way: str
    connection: int | None
    sides: str


class Out:
    """The pipe back. Records wait here for the next urgent one, or for the next answer."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._waiting = bytearray()

    def record(self, port: int, record: Record, *, urgent: bool) -> None:
        """Take a record; send it, and what waited, when it is urgent."""
        with self._lock:
            self._waiting += _ENCODER.encode(("r", port, record)) + b"\n"
            if urgent:
                self._send()

    def answer(self, *answer: object) -> None:
        """Send an answer, after all that waited."""
        with self._lock:
            self._waiting += _ENCODER.encode(answer) + b"\n"
            self._send()

    def _send(self) -> None:
        data, self._waiting = self._waiting, bytearray()
        try:
            while data:
                del data[: os.write(self._fd, data)]
        except OSError:
            os._exit(0)  # nobody reads any more: the parent is gone


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
            "journal": self._journal,
            "close": self._close,
            "failures": lambda *_: [repr(each) for each in self._tap.failures],
        }
        return calls[what](port, arguments)

    def _open(self, _: int, raw: msgspec.Raw) -> int:
        opening = _read(raw, Opening)
        ports: list[int] = []
        known = threading.Event()

        def sink(record: Record) -> None:
            known.wait()  # the first connection may be quicker than the line below
            urgent = opening.push or not isinstance(record, Message)
            self._out.record(ports[0], record, urgent=urgent)

        line = self._tap.open(opening.upstream, rules=opening.rules, sink=sink)
        number: int = line.port
        ports.append(number)
        self._lines[number] = line
        known.set()
        return number

    def _arm(self, port: int, raw: msgspec.Raw) -> None:
        self._lines[port].arm(_read(raw, Rule))

    def _act(self, port: int, raw: msgspec.Raw) -> int:
        acting = _read(raw, Acting)
        way: Any = acting.way
        sides: Any = acting.sides
        hit: int = self._lines[port].act(way, acting.connection, sides)
        return hit

    def _journal(self, port: int, _: msgspec.Raw) -> int:
        """A barrier: every socket that was readable when it was asked for has been read.

        Each copy is made between two turns of the tap's loop, the first perhaps before what this turn has found
        readable.
        """
        return max(len(self._lines[port].journal) for _ in range(2))

    def _close(self, port: int, _: msgspec.Raw) -> None:
        self._lines.pop(port).close()


def _read(raw: msgspec.Raw, kind: Any) -> Any:
    return msgspec.json.decode(raw, type=kind)


CALL: Final = msgspec.json.Decoder(tuple[int, str, int, msgspec.Raw])


def main(pidfd: int) -> None:
    """Serve until the parent is gone."""
    out = Out(os.dup(1))
    os.dup2(2, 1)  # what anybody prints must not get among the answers
    with Tap() as tap:
        served = Served(tap, out)
        for line in _lines(0, pidfd):
            number, what, port, arguments = CALL.decode(line)
            try:
                out.answer("a", number, served.serve(what, port, arguments))
            except LabError as error:
                out.answer("e", number, error.message, error.remedy)
            except KeyError:
                out.answer("e", number, f"the tap has no port {port}", "open it first")


def _lines(fd: int, pidfd: int) -> Iterator[bytes]:
    """The lines that come by a pipe, until it ends or the process behind `pidfd` has ended."""
    poll = select.poll()
    for each in (fd, pidfd):
        if each >= 0:
            poll.register(each, select.POLLIN)
    rest = b""
    while True:
        ready = dict(poll.poll())
        if fd not in ready or not (data := os.read(fd, 1 << 16)):
            return
        *whole, rest = (rest + data).split(b"\n")
        yield from whole


if __name__ == "__main__":
    main(int(sys.argv[1]))
