"""The runs of a stored plan on a terminal: what they came to, and whether they agree."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.check.claims import claimed
from lab.check.replay import Replays
from lab.records.verdict import Verdict
from lab.report.verdict_mark import moment_mark


def print_replays(out: Console, replays: Replays) -> None:
    """Print what every promise that was at stake came to, and how well the runs agree."""
    plan, counted = replays.plan, len(replays.runs)
    out.print(f"{plan.title or 'a plan'}: {len(plan.steps)} steps against {plan.variant.name}", markup=False)
    table = Table(box=box.ROUNDED)
    for title in ("promise", "verdict", "runs", "expected", "why"):
        table.add_column(title, no_wrap=title != "why")
    for promise, verdict in replays.verdicts().items():
        shown = moment_mark(verdict, claimed(plan.variant, promise, plan.moment))
        agreeing = f"{replays.count(promise)} of {counted}"
        expected = plan.expect.get(promise, "")
        table.add_row(promise, Text(str(shown), shown.style), agreeing, expected, replays.summary(promise))
    if replays.verdicts():
        out.print(table)
    void = f", {replays.void} void" if replays.void else ""
    out.print(f"{replays.agreeing} of {replays.times} runs agree with each other{void}")
    if plan.expect:
        out.print(f"{replays.expected} of {replays.times} runs show what the plan expects")
    if replays.verdict is Verdict.UNKNOWN:
        out.print("what the plan is about was not put at stake")
