"""`lab shrink`: make a plan that breaks a promise as small as it can be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab.check.replay import against
from lab.check.variants import find
from lab.cli.options import RigFlag, prepare_file
from lab.cli.replay import PlanFile, load_plan
from lab.cli.stage import one_variant
from lab.cli.tell import Teller
from lab.explore.shrink import SECONDS, TIMES, Shrunk, preemptions, runner, shrink
from lab.promise import PROMISES
from lab.records.codec import encode
from lab.records.plan import Plan
from lab.report.terminal import console, short
from lab.store import write

VariantFlag = Annotated[
    str,
    typer.Option("--variant", metavar="NAME_OR_ENGINE", help="Shrink it for this variant; default: the plan's own."),
]
OnePromiseFlag = Annotated[
    str, typer.Option("--promise", metavar="ID", help="What it must go on breaking; default: what it is about.")
]
TimesFlag = Annotated[int, typer.Option("--times", metavar="N", min=1, help="How often each candidate is run.")]
AgreeFlag = Annotated[
    int | None, typer.Option("--agree", metavar="K", min=1, help="How many of those must break it; default: all.")
]
SecondsFlag = Annotated[
    float, typer.Option("--budget", metavar="SECONDS", min=0.0, help="The smallest that is found by then.")
]
OutFlag = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Where the plan goes. Default: PLAN.shrunk.json.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("shrink")(shrink_command)


def shrink_command(
    plan: PlanFile,
    variant: VariantFlag = "",
    promise: OnePromiseFlag = "",
    times: TimesFlag = TIMES,
    agree: AgreeFlag = None,
    budget: SecondsFlag = SECONDS,
    out: OutFlag = None,
    rig: RigFlag = "",
) -> int:
    """Take from a plan whatever it does not need to break its promise, and write what is left as a plan."""
    loaded = load_plan(plan)
    if variant:
        loaded = against(loaded, find(variant))
    if promise:
        PROMISES.get(promise)
    target = out or plan.with_suffix(".shrunk.json")
    prepare_file("--out", target)
    errors = console(stderr=True)
    with one_variant(loaded.variant, rig, errors) as (running, zygote):
        run_plan = runner(running, zygote)
        tell = Teller(errors, "{} steps after {} runs")
        shrunk = shrink(
            loaded,
            run_plan,
            promise=promise,
            times=times,
            agree=agree,
            seconds=budget,
            tell=tell,
        )
    write(target, encode(shrunk.plan))
    _print(console(), shrunk, target)
    return 0


def _print(out: Console, shrunk: Shrunk, target: Path) -> None:
    lines = [
        f"{shrunk.promise} on {shrunk.plan.variant.name}: {_measure(shrunk.before)} -> {_measure(shrunk.plan)}",
        f"{shrunk.agreed} of {shrunk.of} runs agree; {shrunk.runs} runs in {shrunk.seconds:.1f} s"
        + (", the budget is spent: --budget gives it more" if shrunk.spent else ", nothing more can be taken away"),
        f"lab replay {short(str(target))}",
    ]
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)


def _measure(plan: Plan) -> str:
    """How large a plan is, in words."""
    numbers = {
        "step": len(plan.steps),
        "actor": len(plan.actors()),
        "fault": len(plan.faults()),
        "preemption": preemptions(plan.steps),
    }
    return ", ".join(f"{number} {noun}{'' if number == 1 else 's'}" for noun, number in numbers.items())
