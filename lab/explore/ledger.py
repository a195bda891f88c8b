"""An exploration's progress as JSON lines: a stop costs what was running just then, and the next run goes on."""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lab.store import read_file, unwritable

STAKE = ""
"""Instead of a case's name: how many runs of the cases before put each promise at stake."""


class Ledger:
    """What is done, by the name of the case. The first line names the exploration; another one begins anew.

    Used by many threads. Raises StoreUnwritable.
    """

    def __init__(self, path: Path, exploration: Any) -> None:
        self.path = path
        self.done: dict[str, Any] = {}
        self.at_stake: Counter[str] = Counter()
        self._lock = threading.Lock()
        head = msgspec.json.encode(exploration, order="deterministic")
        with unwritable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_bytes().split(b"\n") if path.exists() else []
            if lines[:1] != [head]:
                path.write_bytes(head + b"\n")
                return
            whole = lines[1:-1]  # what follows the last newline was cut off while it was written
            _read_lines(whole, self.done, self.at_stake)
            path.write_bytes(b"".join(line + b"\n" for line in [head, *whole]))

    def add(self, case: str, outcome: Any) -> None:
        """Write down that a case is done, and what came of it."""
        self.add_all([(case, outcome)], {})

    def add_all(self, outcomes: Iterable[tuple[str, Any]], at_stake: Mapping[str, int]) -> None:
        """The same of several, all or none, with how many of their runs put each promise at stake."""
        outcomes = list(outcomes)
        text = b"".join(msgspec.json.encode(outcome) + b"\n" for outcome in outcomes)
        if at_stake:
            text += msgspec.json.encode([STAKE, at_stake]) + b"\n"
        with self._lock, unwritable(self.path):
            with self.path.open("ab", buffering=0) as file:
                size = file.tell()
                try:
                    if file.write(text) != len(text):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                except OSError:
                    os.truncate(self.path, size)  # the lines before stay whole
                    raise
            self.done.update(outcomes)
            self.at_stake.update(at_stake)

    def finish(self) -> None:
        """All is done: the next exploration begins anew."""
        with unwritable(self.path):
            self.path.unlink(missing_ok=True)


def read_ledger(path: Path, exploration: Any) -> dict[str, Any]:
    """What is written in a ledger, {} where it is another exploration's; raises OSError or msgspec.DecodeError."""
    return read_all(path, exploration)[0]


def read_all(path: Path, exploration: Any) -> tuple[dict[str, Any], Counter[str]]:
    """The same, with how many runs put each promise at stake, as far as that was written down."""
    head, *lines = read_file(path).split(b"\n")
    done: dict[str, Any] = {}
    at_stake: Counter[str] = Counter()
    if head == msgspec.json.encode(exploration, order="deterministic"):
        _read_lines(lines[:-1], done, at_stake)
    return done, at_stake


def _read_lines(lines: Iterable[bytes], done: dict[str, Any], at_stake: Counter[str]) -> None:
    for line in lines:
        case, outcome = msgspec.json.decode(line)
        if case == STAKE:
            at_stake.update(outcome)
        else:
            done[case] = outcome
