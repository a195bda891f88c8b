"""Results as tables on a terminal or in a log."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.records.result import PromiseResult, Result
from lab.records.shard import Shard
from lab.records.verdict import Verdict
from lab.records.words import count
from lab.report.verdict_mark import BROKEN, KEPT, LIMIT, MARKS, NA, UNKNOWN, Mark, mark, moment_mark

NAMED_MOMENTS = 5
"""How many of the moments at which a promise breaks the matrix names; `lab check` names all."""

PLAIN_WIDTH = 140
"""Columns of a stream that is no terminal, where $COLUMNS is not set."""


_quiet = False


def be_quiet() -> None:
    """From now on nothing is printed on stderr by consoles: a result alone, on stdout. What fails is still said."""
    global _quiet  # noqa: PLW0603 - one process has one standard error
    _quiet = True


def console(*, stderr: bool = False) -> Console:
    """A console for one of the standard streams; wide and without colour when it is no terminal."""
    quiet = stderr and _quiet
    made = Console(stderr=stderr, highlight=False, soft_wrap=False, quiet=quiet)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made = Console(stderr=stderr, highlight=False, width=PLAIN_WIDTH, no_color=True, quiet=quiet)
    return made


def short(path: str) -> str:
    """A path as a person would type it in the current folder: relative where that is shorter."""
    try:
        relative = os.path.relpath(path)
    except ValueError:
        return path
    return min(relative, path, key=len)


def print_partial(out: Console, shard: Shard) -> None:
    """Of a part of all plans: that it is one."""
    if not shard.whole:
        _line(out, Text(f"partial: this is {shard} of all cases; `lab merge` joins the parts"))


def print_result(out: Console, result: Result) -> None:
    """One variant: what ran, the table of promises, how to replay each broken one, and the sum in one sentence."""
    own_limits = [name for name, promise in result.promises.items() if _is_djangos(result, promise)]
    table = _promise_table({name: each for name, each in result.promises.items() if name not in own_limits})
    _line(out, Text(headline(result), "bold"))
    for note in result.variant.notes:
        _line(out, Text(f"  {note}", "dim"))
    if result.variant.keeping:
        _line(out, Text(f"seen: {result.variant.keeping}"))
    for part in result.skipped:
        _line(out, Text(f"not run: {part}"))
    if table.row_count:
        out.print(table)
    for name, promise in result.promises.items():
        if promise.evidence and name not in own_limits:
            _line(out, Text(f"{name}, {_seen(promise)} in {count(len(promise.evidence), 'plan')}; see it again with"))
            _line(out, Text(f"  lab replay {short(promise.evidence[0])}"))
            for moment, error in promise.errors.items():
                _line(out, Text(f"  {moment}: the error there was {error}", "dim"))
    if own_limits:
        _line(
            out, Text(f"limits that Django itself has with such settings: {', '.join(own_limits)} (docs/verdicts.md)")
        )
    for name, promise in result.promises.items():
        shows = [moment for moment, verdict in promise.added.items() if verdict is Verdict.BROKEN]
        if shows:
            _line(out, Text(f"settings that the lab has added would break {name}: {', '.join(shows)}", "dim"))
    _line(out, Text(sentence(result)))


def _promise_table(promises: Mapping[str, PromiseResult]) -> Table:
    """A row for each promise, with its moments by verdict."""
    table = Table(box=box.ROUNDED, show_lines=True, expand=False)
    table.add_column("promise", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("moments", ratio=2)
    table.add_column("why", ratio=3)
    for name, promise in promises.items():
        shown = mark(promise)
        table.add_row(_name(name, promise), Text(str(shown), shown.style), _moments(promise), Text(promise.summary))
    return table


def _is_djangos(result: Result, promise: PromiseResult) -> bool:
    """Whether it is broken as Django breaks it, and not claimed by the project: nothing that the project could mend."""
    if not result.variant.project or promise.verdict is not Verdict.BROKEN or promise.claimed:
        return False
    broken = {moment for moment, verdict in promise.moments.items() if verdict is Verdict.BROKEN}
    return broken <= set(promise.limits) or (not promise.limits and result.variant.engine.startswith("django."))


def print_matrix(out: Console, results: Sequence[Result]) -> None:
    """Promise x variant, a legend, and the moments at which each broken one breaks."""
    rows = {name: [_cell(result.promises.get(name)) for result in results] for name in promise_names(results)}
    out.print(matrix_table([result.variant.name for result in results], rows, out.width))
    for each in MARKS:
        _line(out, Text.assemble((f"{each!s:<10}", each.style), each.meaning))
    for result in results:
        _line(out, Text.assemble("\n", (sentence(result), "bold")))
        for line in _details(result):
            _line(out, line)


def matrix_table(variants: Sequence[str], rows: Mapping[str, Sequence[Mark | str]], width: int) -> Table:
    """A row for each promise, with one cell for each variant: its mark, or a few letters.

    Where `width` columns have no room for the words, cells show signs, and numbers stand for the variants' names.
    """
    heads = [name.replace("_", "_\n", 1) for name in variants]
    words = max(len(str(each)) for each in MARKS)
    columns = [max(words, *map(len, head.split("\n"))) for head in heads]
    room = sum(each + len(" │ ") for each in (max(map(len, ["promise", *rows])), *columns))
    narrow = room > width
    names = " · ".join(f"{number} {name}" for number, name in enumerate(variants, 1))
    table = Table(box=box.ROUNDED, caption=names if narrow else None, caption_justify="left")
    table.add_column("promise", no_wrap=True)
    for number, head in enumerate(heads, 1):
        table.add_column(str(number) if narrow else head)
    for name, cells in rows.items():
        table.add_row(name, *(_shown(cell, narrow) for cell in cells))
    return table


def _shown(cell: Mark | str, narrow: bool) -> Text:
    if isinstance(cell, str):
        return Text(cell, "dim")
    return Text(cell.sign if narrow else str(cell), cell.style)


def _line(out: Console, line: Text) -> None:
    """One line, however long: a command must not be folded, or it cannot be copied."""
    out.print(line, soft_wrap=True)


def promise_names(results: Sequence[Result]) -> list[str]:
    """The promises that any of the results speaks of, in the order of their names."""
    return sorted({name for result in results for name in result.promises})


def headline(result: Result) -> str:
    """What ran, in one line."""
    return f"{result.variant.name}  (ENGINE {result.variant.engine}, {ran_on(result)}, seed {result.seed})"


def ran_on(result: Result) -> str:
    """The versions that it ran on: the driver's first."""
    variant, versions = result.variant, result.versions
    named = [f"{name} {versions[key]}" for name, key in NAMED if key in versions]
    return ", ".join([f"{variant.driver} {versions.get(variant.driver, '')}".strip(), *named])


NAMED = (("Django", "django"), ("Python", "python"), ("PostgreSQL", "postgresql"), ("Toxiproxy", "toxiproxy"))


def sentence(result: Result) -> str:
    """The sum, in one line."""
    claimed = [promise for promise in result.promises.values() if promise.claimed]
    kept = sum(promise.verdict is Verdict.KEPT for promise in claimed)
    applying = sum(promise.verdict is not Verdict.NA for promise in claimed)
    limits = sum(_is_limit(promise) for promise in result.promises.values())
    void = f", {result.void} of them void" if result.void else ""
    return (
        f"{result.variant.name}: {result.verdict} — {kept} of {applying} claimed promises kept, "
        f"{count(limits, 'documented limit')} seen, {count(result.cases, 'case')}{void}, {result.seconds:.1f} s"
    )


def _is_limit(promise: PromiseResult) -> bool:
    """Whether it is broken where nothing is claimed: everywhere, or at some of its moments alone."""
    return bool(promise.limits) if promise.verdict is not Verdict.BROKEN else not promise.claimed


def _seen(promise: PromiseResult) -> str:
    return "broken" if promise.verdict is Verdict.BROKEN else "a limit of Django's"


def _name(name: str, promise: PromiseResult) -> Text:
    text = Text(name)
    return text if promise.claimed else text.append("\nnot claimed", "dim")


def _moments(promise: PromiseResult) -> Text:
    """The moments by verdict, the worst first."""
    marks = {moment: moment_mark(verdict, promise.claims(moment)) for moment, verdict in promise.moments.items()}
    lines = []
    for shown in (BROKEN, LIMIT, UNKNOWN, KEPT, NA):
        at = [moment for moment, each in marks.items() if each == shown]
        if at:
            lines.append(Text.assemble((f"{shown.sign} ", shown.style), " · ".join(at)))
    return Text("\n").join(lines)


def _cell(promise: PromiseResult | None) -> Mark | str:
    return "" if promise is None else mark(promise)


def _details(result: Result) -> list[Text]:
    lines = []
    for name, promise in result.promises.items():
        if promise.verdict is not Verdict.BROKEN:
            continue
        shown = mark(promise)
        broken = [moment for moment, each in promise.moments.items() if each is Verdict.BROKEN]
        at = " · ".join(broken[:NAMED_MOMENTS])
        if len(broken) > NAMED_MOMENTS:
            at += f" · and {len(broken) - NAMED_MOMENTS} more"
        because = "" if promise.cause in (None, name) else f", because of {promise.cause}"
        lines.append(Text.assemble("  ", (str(shown), shown.style), f" {name}{because}: {at}"))
    return lines
