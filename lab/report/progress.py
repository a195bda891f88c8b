"""How far a check is: one moving line on a terminal, a line now and then in a log. Both on stderr."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

EVERY = 5.0
"""Seconds between two lines in a log."""


class TerminalProgress:
    """A bar for each variant, with the case that ended last."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.fields[variant]}"),
            BarColumn(24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[red]{task.fields[broken]}[/] broken  {task.fields[title]}", table_column=None),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._broken: dict[str, set[str]] = {}

    def __enter__(self) -> TerminalProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def planned(self, variant: str, cases: int) -> None:
        """Lengthen the variant's bar."""
        if variant not in self._tasks:
            self._tasks[variant] = self._bars.add_task("", total=0, variant=variant, broken=0, title="")
            self._broken[variant] = set()
        task = self._bars.tasks[self._tasks[variant]]
        self._bars.update(task.id, total=(task.total or 0) + cases)

    def done(self, variant: str, title: str, broken: tuple[str, ...], note: str) -> None:
        """Advance it."""
        self._broken[variant].update(broken)
        shown = f"{title} [{note}]" if note else title
        self._bars.update(
            self._tasks[variant], advance=1, broken=len(self._broken[variant]), title=shown.replace("[", r"\[")
        )

    def say(self, line: str) -> None:
        """A line above the bars."""
        self._bars.console.print(line, style="dim", markup=False)


class PlainProgress:
    """Lines for a log: what is planned, the first case that breaks each promise, and the count every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._total = self._count = 0
        self._broken: set[tuple[str, str]] = set()
        self._last = time.monotonic()

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def planned(self, variant: str, cases: int) -> None:
        """Say so, unless it is only one more."""
        self._total += cases
        if cases > 1:
            self.say(f"{variant}: {cases} plans")

    def done(self, variant: str, title: str, broken: tuple[str, ...], note: str) -> None:
        """Say what is new."""
        self._count += 1
        for promise in broken:
            if (variant, promise) not in self._broken:
                self._broken.add((variant, promise))
                self.say(f"{variant}: {promise} is broken ({title})")
        if note:
            self.say(f"{variant}: {title}: {note}")
        if time.monotonic() - self._last > EVERY:
            self._last = time.monotonic()
            self.say(f"{self._count} of {self._total} plans")

    def say(self, line: str) -> None:
        """One line."""
        self._console.print(line, markup=False, soft_wrap=True)


def progress(console: Console) -> TerminalProgress | PlainProgress:
    """What suits the console."""
    return TerminalProgress(console) if console.is_terminal else PlainProgress(console)
