"""The faces of a check's progress: a moving bar for each variant on a terminal, a line now and then in a log."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from lab.check.progress import Silent
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.records.words import count
from lab.report.estimate import Estimate
from lab.report.live import REFRESH, LiveMatrix
from lab.report.pages.shelf import CheckEntry
from lab.report.terminal import short
from lab.report.verdict_mark import BROKEN, LIMIT

EVERY = 5.0
"""Seconds between two lines in a log."""


class _Counts:
    """What is known of one variant so far."""

    def __init__(self) -> None:
        self.planned = self.over = self.void = 0
        self.broken: Counter[str] = Counter()
        self.limits: Counter[str] = Counter()

    def count(self, broken: Mapping[str, bool], note: str) -> None:
        """One plan is over."""
        self.over += 1
        self.void += note.startswith("void")
        self.broken.update(promise for promise, counts in broken.items() if counts)
        self.limits.update(promise for promise, counts in broken.items() if not counts)


class TerminalProgress:
    """A bar for each variant, what is run just now, what is broken so far, and about how long the rest takes."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.fields[variant]}"),
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn("plans"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._counts: dict[str, _Counts] = {}
        self._now = ""
        self._said = ""
        self._left = Estimate()
        self._lock = threading.Lock()  # rich draws in a thread of its own
        self._live = Live(console=console, get_renderable=self._drawn, refresh_per_second=REFRESH, transient=True)

    def __enter__(self) -> TerminalProgress:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def begins(self, variant: Variant, plans: Sequence[Iterable[str]], not_applicable: Iterable[str]) -> None:
        """A bar for the variant."""
        with self._lock:
            self._tasks[variant.name] = self._bars.add_task("", total=len(plans), variant=variant.name)
            self._counts[variant.name] = _Counts()
            self._counts[variant.name].planned = len(plans)

    def expects(self, seconds: float, *, whole: bool) -> None:
        """How long what comes after the plans takes, or all of it."""
        with self._lock:
            self._left.expect(seconds, whole=whole)

    def starts(self, variant: Variant, title: str) -> None:
        """Show which plan is run."""
        with self._lock:
            self._now = title

    def further(self, variant: Variant) -> None:
        """Lengthen the variant's bar."""
        with self._lock:
            self._counts[variant.name].planned += 1
            self._bars.update(self._tasks[variant.name], total=self._counts[variant.name].planned)

    def done(
        self, variant: Variant, title: str, verdicts: Mapping[str, Verdict], broken: Mapping[str, bool], note: str
    ) -> None:
        """Advance the variant's bar."""
        with self._lock:
            self._counts[variant.name].count(broken, note)
            self._bars.update(self._tasks[variant.name], advance=1)

    def say(self, line: str) -> None:
        """Show the line, until the next one; then no plan is run by name."""
        with self._lock:
            self._said, self._now = line, ""

    def _drawn(self) -> Group:
        with self._lock:
            counts = dict(self._counts)
            over, planned = (sum(getattr(each, name) for each in counts.values()) for name in ("over", "planned"))
            lines = [self._now or self._said]
            if planned:
                void = sum(each.void for each in counts.values())
                lines.append(f"{self._left.words(over, planned)}; {void} void")
            rest = [Text(line, "dim", no_wrap=True, overflow="ellipsis") for line in lines if line]
            found = [line for name, each in counts.items() for line in _found(name if len(counts) > 1 else "", each)]
            return Group(*([self._bars] if counts else []), *rest, *found)


def _found(name: str, counts: _Counts) -> Iterator[Text]:
    """What is broken, and what are limits, in the words and colours of the report's table."""
    for word, mark, found in (("broken", BROKEN, counts.broken), ("limits", LIMIT, counts.limits)):
        if found:
            words = ", ".join(f"{promise} ({number})" for promise, number in found.most_common())
            yield Text.assemble((f"{word} so far{f', {name}' if name else ''}: ", mark.style), words)


class PlainProgress:
    """Lines for a log: what is planned, the first case that breaks each promise, and the count every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._total = self._count = 0
        self._said: set[str] = set()
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
        self.say(f"{variant.name}: {count(len(plans), 'plan')}")

    def expects(self, seconds: float, *, whole: bool) -> None:
        """Nothing: a log is read afterwards."""

    def starts(self, variant: Variant, title: str) -> None:
        """Nothing."""

    def further(self, variant: Variant) -> None:
        """Count one more plan."""
        self._total += 1

    def done(
        self, variant: Variant, title: str, verdicts: Mapping[str, Verdict], broken: Mapping[str, bool], note: str
    ) -> None:
        """Say which promises the plan is the first to break where that counts, or where it is a limit."""
        self._count += 1
        for promise, counts in broken.items():
            what = f"{variant.name}: {promise} is {'broken' if counts else 'a limit'}"
            if what not in self._said:
                self._said.add(what)
                self.say(f"{what} ({title})")
        if note:
            self.say(f"{variant.name}: {title}: {note}")
        if time.monotonic() - self._last > EVERY:
            self._last = time.monotonic()
            self.say(f"{self._count} of {self._total} plans")

    def say(self, line: str) -> None:
        """Print the line."""
        self._console.print(line, markup=False, soft_wrap=True)


class QuietProgress(Silent):
    """Nothing, for `-q`."""

    def __enter__(self) -> QuietProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def progress(console: Console) -> TerminalProgress | PlainProgress:
    """Bars where the console is a terminal, lines where it is not."""
    return TerminalProgress(console) if console.is_terminal else PlainProgress(console)


def filling_matrix(console: Console) -> LiveMatrix | PlainProgress:
    """The table promise x variant as it fills; lines where there is no terminal."""
    return LiveMatrix(console) if console.is_terminal else PlainProgress(console)


def quiet(_console: Console) -> QuietProgress:
    """Nothing on any console."""
    return QuietProgress()


def print_stopped(console: Console, folders: Iterable[Path], root: Path) -> None:
    """Of a check that was stopped: what is there, and where."""
    for folder in folders:
        entry = CheckEntry(folder.parent.name, folder, "")
        console.print(
            f"stopped: {entry.variant}: {len(entry.cases)} cases stored, {entry.kept} further runs broke nothing: "
            f"{short(str(folder))}",
            markup=False,
            soft_wrap=True,
        )
        if entry.broken:
            words = ", ".join(f"{promise} ({number})" for promise, number in entry.broken.items())
            console.print(f"broken so far, claimed or not: {words}", markup=False, soft_wrap=True)
    console.print(f"as pages: lab report {short(str(root))}", markup=False, soft_wrap=True)
