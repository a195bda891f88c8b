"""`lab replay`: run a stored plan again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from lab.check.replay import Replays, against, replay
from lab.check.variants import find
from lab.cli.options import RigFlag
from lab.cli.stage import one_variant
from lab.errors import PlanInvalid
from lab.fault import build
from lab.records.codec import decode_plan
from lab.records.plan import Plan
from lab.records.verdict import Verdict
from lab.report.terminal import console
from lab.report.verdict_mark import moment_mark

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN.JSON", help="A plan, e.g. one from a store folder.")]
VariantFlag = Annotated[
    str,
    typer.Option("--variant", metavar="NAME_OR_ENGINE", help="Run it against this variant; default: the plan's own."),
]
TimesFlag = Annotated[int, typer.Option("--times", metavar="N", min=1, help="How often.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(replay_command)


def replay_command(plan: PlanFile, variant: VariantFlag = "", times: TimesFlag = 1, rig: RigFlag = "") -> int:
    """Run a plan again, against another variant too, and say how many of its runs agree."""
    loaded = load_plan(plan)
    if variant:
        loaded = against(loaded, find(variant))
    errors = console(stderr=True)
    with one_variant(loaded.variant, rig, errors) as (running, zygote):
        replays = replay(loaded, running, zygote, times)
    show(replays)
    return replays.status


def load_plan(path: Path) -> Plan:
    """The plan in a file, its faults checked too; raises PlanInvalid or UnknownName."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise PlanInvalid(
            f"{path} cannot be read: {error.strerror}", "give the path of a plan.json from a store folder"
        ) from None
    plan = decode_plan(text, str(path))
    for spec in plan.faults():
        build(spec)
    return plan


def show(replays: Replays) -> None:
    """What every promise that was at stake came to, and how well the runs agree."""
    out = console()
    plan, counted = replays.plan, len(replays.runs)
    out.print(f"{plan.title or 'a plan'}: {len(plan.steps)} steps against {plan.variant.name}", markup=False)
    table = Table(box=box.ROUNDED)
    for title in ("promise", "verdict", "runs", "expected", "why"):
        table.add_column(title, no_wrap=title != "why")
    for promise, verdict in replays.verdicts().items():
        claimed = plan.variant.claimed(promise)
        shown = moment_mark(verdict, claimed)
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
