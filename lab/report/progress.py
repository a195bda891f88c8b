"""The faces of a check's progress: a moving bar for each variant on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.report.live import LiveMatrix

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

    def begins(self, variant: Variant, plans: Sequence[Iterable[str]], not_applicable: Iterable[str]) -> None:
        """A bar for the variant."""
        name = variant.name
        self._tasks[name] = self._bars.add_task("", total=len(plans), variant=name, broken=0, title="")
        self._broken[name] = set()

    def further(self, variant: Variant) -> None:
        """Lengthen the variant's bar."""
        task = self._bars.tasks[self._tasks[variant.name]]
        self._bars.update(task.id, total=(task.total or 0) + 1)

    def done(
        self, variant: Variant, title: str, verdicts: Mapping[str, Verdict], broken: tuple[str, ...], note: str
    ) -> None:
        """Advance the variant's bar."""
        found = self._broken[variant.name]
        found.update(broken)
        shown = f"{title} [{note}]" if note else title
        self._bars.update(self._tasks[variant.name], advance=1, broken=len(found), title=shown.replace("[", r"\["))

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

    def begins(self, variant: Variant, plans: Sequence[Iterable[str]], not_applicable: Iterable[str]) -> None:
        """Say how many plans there are."""
        self._total += len(plans)
        self.say(f"{variant.name}: {len(plans)} plans")

    def further(self, variant: Variant) -> None:
        """Count one more plan."""
        self._total += 1

    def done(
        self, variant: Variant, title: str, verdicts: Mapping[str, Verdict], broken: tuple[str, ...], note: str
    ) -> None:
        """Say which promises the plan is the first to break."""
        self._count += 1
        for promise in broken:
            if (variant.name, promise) not in self._broken:
                self._broken.add((variant.name, promise))
                self.say(f"{variant.name}: {promise} is broken ({title})")
        if note:
            self.say(f"{variant.name}: {title}: {note}")
        if time.monotonic() - self._last > EVERY:
            self._last = time.monotonic()
            self.say(f"{self._count} of {self._total} plans")

    def say(self, line: str) -> None:
        """Print the line."""
        self._console.print(line, markup=False, soft_wrap=True)


def progress(console: Console) -> TerminalProgress | PlainProgress:
    """Bars where the console is a terminal, lines where it is not."""
    return TerminalProgress(console) if console.is_terminal else PlainProgress(console)


def filling_matrix(console: Console) -> LiveMatrix | PlainProgress:
    """The table promise x variant as it fills; lines where there is no terminal."""
    return LiveMatrix(console) if console.is_terminal else PlainProgress(console)
