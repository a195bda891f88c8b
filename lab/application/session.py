"""What all judged tests of one run share: what was asked for, and the tap's process."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from lab.application.failure import Unfit
from lab.wire.remote import TapProcess
from lab.wire.tap import Upstream

Every = Literal["statement", "message"]
Way = Literal["fin", "rst", "kill", "drop-reply", "stall"]
WAYS: Final[dict[Way, str]] = {
    "fin": "the connection ends in good order",
    "rst": "the connection is reset",
    "kill": "the process that serves the request is killed (SIGKILL)",
    "drop-reply": "the answer never comes, and after a while the connection ends",
    "stall": "the server falls silent: one question for the whole request, whether it gives up",
}


@dataclass(frozen=True)
class Options:
    """What the command line says.

    `cut` is the one case to run and tell (`MOMENT WAY`), `order` the one order; "" for all. `bound` is how many seconds
    a request may wait for a silent server.
    """

    root: Path = field(default_factory=Path.cwd)
    cut: str = ""
    order: str = ""
    every: Every = "statement"
    ways: tuple[Way, ...] = ("fin",)
    preemptions: int | None = None
    bound: float = 30.0
    store: Path | None = None
    """Where evidence of failing tests goes; None: `store_of(root)`."""


STORE: Final = ".connection-lab"
"""What the folder for evidence is called in a project, where $LAB_STORE names no other."""


def store_of(root: Path) -> Path:
    """`$LAB_STORE`, else a folder of the project's; not `store`, which is what a shop may call an app of its own."""
    return Path(os.environ.get("LAB_STORE") or root / STORE)


def pytest_command(test: str, option: str, address: str) -> str:
    """How pytest runs one case of a test again."""
    return f"pytest {shlex.quote(test)} {option} {shlex.quote(address)}"


class Session:
    """One test run. `replay` makes the command that runs one case again, of the test, the option and the address."""

    def __init__(
        self,
        options: Options,
        tap: TapProcess | None = None,
        replay: Callable[[str, str, str], str] = pytest_command,
    ) -> None:
        self.options = options
        self._replay = replay
        self.seen_through: set[Upstream] = set()
        """The servers that a connection through the tap has reached."""
        self.test = ""
        """The node id of the test that runs, for the line that replays a case."""
        self._tap = tap

    @property
    def tap(self) -> TapProcess:
        """The tap's process, started for the first test that needs it."""
        if self._tap is None:
            self._tap = TapProcess()
        return self._tap.start()

    def replay(self, option: str, address: str) -> str:
        """The command that runs one case again."""
        return self._replay(self.test, option, address)

    @property
    def store(self) -> Path:
        """Where evidence goes."""
        return self.options.store or store_of(self.options.root)

    def close(self) -> None:
        """End the tap."""
        if self._tap is not None:
            self._tap.close()


def ways_of(text: str) -> tuple[Way, ...]:
    """Read `fin,rst`. Raises Unfit for a way that is none."""
    found = tuple(each.strip() for each in text.split(",") if each.strip())
    for each in found:
        if each not in WAYS:
            raise Unfit(f"no way of cutting is called {each!r}", f"use one of {', '.join(WAYS)}")
    return found  # type: ignore[return-value]  # each was looked up


def every_of(text: str) -> Every:
    """Read `statement` or `message`. Raises Unfit."""
    if text not in get_args(Every):
        raise Unfit(f"{text!r} is not where to cut", f"use one of {', '.join(get_args(Every))}")
    return text  # type: ignore[return-value]  # looked up
