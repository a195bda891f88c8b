"""A campaign's face: bars or lines while it runs, and what it came to."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from lab.campaign.verdicts import Found, KindFound, VariantFound
from lab.records.verdict import Verdict
from lab.records.words import count
from lab.report.pages.versions import told
from lab.report.progress import EVERY
from lab.report.terminal import short
from lab.report.verdict_mark import moment_mark

MARKED = {"broken": Verdict.BROKEN, "unknown": Verdict.UNKNOWN, "held": Verdict.KEPT}
"""The marks of a check that come next to a campaign's words; what the words mean is less."""
WORDS = {"unknown": "not seen broken so far", "held": "held in all cases"}


class CampaignProgress:
    """A bar for each part on a terminal, a line every few seconds elsewhere; what is broken is said at once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Bars | None = None
        if console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
            )
            self._bars = Bars(*columns, console=console, transient=True, refresh_per_second=2)
        self._tasks: dict[str, TaskID] = {}
        self._parts: dict[str, tuple[int, int]] = {}
        self._workers = 0
        self._begun = self._last = time.monotonic()
        self._before: dict[str, int] = {}

    def __enter__(self) -> CampaignProgress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def part(self, name: str, done: int, of: int, seconds: float = 0.0) -> None:
        """So many cases of a part are done."""
        self._before.setdefault(name, done)
        self._parts[name] = (done, of)
        rate = (done - self._before[name]) / (time.monotonic() - self._begun)
        if self._bars is not None:
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(name, total=of, rate="")
            self._bars.update(self._tasks[name], completed=done, total=of, rate=f"{rate:.1f}/s")
        elif time.monotonic() - self._last > EVERY:
            self._last = time.monotonic()
            parts = ", ".join(f"{each} {n} of {total}" for each, (n, total) in self._parts.items())
            self.say(f"{count(self._workers, 'worker')}: {parts}")

    def broken(self, variant: str, promise: str, where: str, *, claimed: bool) -> None:
        """Say it, in the word that the table has for it."""
        self.say(f"{variant}: {promise} is {'broken' if claimed else 'a limit'} ({where})")

    def workers(self, number: int) -> None:
        """Say how many there are, when that has changed."""
        if number != self._workers:
            self._workers = number
            self.say(count(number, "worker"))

    def say(self, line: str) -> None:
        """Print a line."""
        self._console.print(line, markup=False, soft_wrap=True)


def print_campaign(out: Console, found: Found, root: Path) -> None:
    """For each variant: what was run, the promises that were at stake, and how to see a broken one again."""
    for variant in found.variants:
        out.print(Text(_head(variant), "bold"), soft_wrap=True)
        for name, kind in variant.kinds.items():
            out.print(f"  {name}: {_ran(name, kind)}", markup=False, soft_wrap=True)
        table = Table(box=box.ROUNDED)
        for title in ("promise", "verdict", "broken in"):
            table.add_column(title, no_wrap=title != "broken in")
        for name, promise in variant.promises.items():
            mark = moment_mark(MARKED[promise.verdict], promise.claimed)
            where = ", ".join(f"{count(number, _unit(kind))} of {kind}" for kind, number in promise.broken.items())
            words = WORDS.get(promise.verdict, mark.word)
            table.add_row(name, Text(f"{mark.sign} {words}", mark.style), where)
        out.print(table)
        for name, promise in variant.promises.items():
            for path in promise.evidence[:1]:
                out.print(f"{name}: lab replay {short(str(root / path))}", markup=False, soft_wrap=True)
    for each in found.differences:
        out.print(f"differs: {told(each)}", markup=False, soft_wrap=True)
        out.print(f"  lab replay {short(str(root / each.plan))}", markup=False, soft_wrap=True)
    if found.shard:
        out.print(f"partial: this is {found.shard} of all cases; `lab merge` joins the parts", markup=False)


def _head(variant: VariantFound) -> str:
    state = "all of it was run" if variant.complete else "not all of it was run"
    return f"{variant.variant}: {variant.verdict}, {state}"


def _ran(name: str, kind: KindFound) -> str:
    of = "?" if kind.of is None else str(kind.of)
    void = f", {kind.void} void" if kind.void else ""
    skipped = f"; not run: {kind.skipped}" if kind.skipped else ""
    return f"{kind.cases} of {of} {_unit(name)}s{void}{skipped}"


def _unit(kind: str) -> str:
    return "seed" if kind == "search" else "case"
