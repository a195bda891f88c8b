"""The table promise x variant while it fills: what was seen so far, cell by cell, on a terminal."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from lab.records.result import PromiseResult
from lab.records.variant import Variant
from lab.records.verdict import Verdict, worst
from lab.report.estimate import Estimate
from lab.report.terminal import matrix_table
from lab.report.verdict_mark import BROKEN, LIMIT, Mark, mark

REFRESH = 2.0
"""How many times a second the table is drawn: drawing takes time from the cases, which run in the same process."""
AROUND = 9
"""Lines of the terminal that show no promise: the table's head, frame and names, the line below it, the prompt."""


@dataclass
class _Cell:
    """A promise of a variant: how many plans were made for it, how many are over, and what those said."""

    planned: int = 0
    over: int = 0
    verdicts: set[Verdict] = field(default_factory=set)
    counts: bool = False
    """Whether it was broken where that is no limit."""


class LiveMatrix:
    """A cell says how many of its plans are over until it is decided: by the first that breaks it, or by the last."""

    def __init__(self, console: Console) -> None:
        self._variants: dict[str, Variant] = {}
        self._cells: dict[tuple[str, str], _Cell] = defaultdict(_Cell)
        self._planned = self._over = 0
        self._said = ""
        self._left = Estimate()
        self._lock = threading.Lock()  # rich draws in a thread of its own
        self._live = Live(console=console, get_renderable=lambda: self, refresh_per_second=REFRESH, transient=True)

    def __enter__(self) -> LiveMatrix:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def begins(self, variant: Variant, plans: Sequence[Iterable[str]], not_applicable: Iterable[str]) -> None:
        """Add the variant's column."""
        with self._lock:
            self._variants[variant.name] = variant
            self._planned += len(plans)
            for promise in not_applicable:
                self._cells[variant.name, promise] = _Cell(verdicts={Verdict.NA})
            for promise in (promise for plan in plans for promise in plan):
                self._cells[variant.name, promise].planned += 1

    def expects(self, seconds: float, *, whole: bool) -> None:
        """How long what comes after the plans takes, or all of it."""
        with self._lock:
            self._left.expect(seconds, whole=whole)

    def starts(self, variant: Variant, title: str) -> None:
        """Nothing: the table shows what is over."""

    def further(self, variant: Variant) -> None:
        """Count one more plan."""
        with self._lock:
            self._planned += 1

    def done(
        self, variant: Variant, title: str, verdicts: Mapping[str, Verdict], broken: Mapping[str, bool], note: str
    ) -> None:
        """Fill the cells of the promises that the plan was made for, and of those that it broke."""
        with self._lock:
            self._over += 1
            for promise, verdict in verdicts.items():
                cell = self._cells[variant.name, promise]
                cell.over += 1
                cell.verdicts.add(verdict)
            for promise, counts in broken.items():
                self._cells[variant.name, promise].verdicts.add(Verdict.BROKEN)
                self._cells[variant.name, promise].counts |= counts

    def say(self, line: str) -> None:
        """Show the line below the table, until the next one."""
        with self._lock:
            self._said = line

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            promises = sorted({promise for _, promise in self._cells})
            rows = {promise: [self._cell(name, promise) for name in self._variants] for promise in promises}
            state = f"{self._over} of {self._planned} plans, {self._left.words(self._over, self._planned)}"
            state = state if self._planned else ""
            said = self._said
        if len(rows) + AROUND > options.size.height:
            # Broken promises first, then others while there is room: all are printed when the run ends.
            order = sorted(rows, key=lambda name: -sum(cell in (BROKEN, LIMIT) for cell in rows[name]))
            rows = {name: rows[name] for name in order[: max(1, options.size.height - AROUND)]}
        if rows:
            yield matrix_table(list(self._variants), rows, options.max_width)
        yield Text(f"{state}  {said}".strip(), style="dim")

    def _cell(self, variant: str, promise: str) -> Mark | str:
        cell = self._cells[variant, promise]
        # A limit decides what nobody claims; what is claimed may yet be broken beyond it, or else be kept.
        limit = Verdict.BROKEN in cell.verdicts and not self._variants[variant].claimed(promise)
        if not (cell.counts or limit) and cell.over < cell.planned:
            return f"{cell.over}/{cell.planned}"
        return mark(PromiseResult(verdict=worst(cell.verdicts), claimed=cell.counts))
