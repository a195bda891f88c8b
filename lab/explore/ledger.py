"""An exploration's progress as JSON lines: a stop costs what was running just then, and the next run goes on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec

from lab.store import read_file, unwritable


class Ledger:
    """What is done, by the name of the case. The first line names the exploration; another one begins anew.

    Used by many threads. Raises StoreUnwritable.
    """

    def __init__(self, path: Path, exploration: Any) -> None:
        self.path = path
        self.done: dict[str, Any] = {}
        self._lock = threading.Lock()
        head = msgspec.json.encode(exploration, order="deterministic")
        with unwritable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_bytes().split(b"\n") if path.exists() else []
            if lines[:1] != [head]:
                path.write_bytes(head + b"\n")
                return
            whole = lines[1:-1]  # what follows the last newline was cut off while it was written
            for line in whole:
                case, outcome = msgspec.json.decode(line)
                self.done[case] = outcome
            path.write_bytes(b"".join(line + b"\n" for line in [head, *whole]))

    def add(self, case: str, outcome: Any) -> None:
        """Write down that a case is done, and what came of it."""
        line = msgspec.json.encode([case, outcome]) + b"\n"
        with self._lock, unwritable(self.path):
            self.done[case] = outcome
            with self.path.open("ab", buffering=0) as file:
                file.write(line)

    def finish(self) -> None:
        """All is done: the next exploration begins anew."""
        with unwritable(self.path):
            self.path.unlink(missing_ok=True)


def read_ledger(path: Path, exploration: Any) -> dict[str, Any]:
    """What is written in a ledger, {} where it is another exploration's; raises OSError or msgspec.DecodeError."""
    head, *lines = read_file(path).split(b"\n")
    if head != msgspec.json.encode(exploration, order="deterministic"):
        return {}
    return dict(msgspec.json.decode(line, type=tuple[str, Any]) for line in lines[:-1])
