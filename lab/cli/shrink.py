"""`lab shrink`: make a plan that breaks a promise as small as it can be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.check.replay import against
from lab.check.variants import filled, find
from lab.cli.one_variant import one_variant
from lab.cli.options import RigFlag, prepare_file
from lab.cli.replay import PlanFile, load_plan
from lab.explore.shrink import SECONDS, TIMES, runner, shrink
from lab.promise import PROMISES
from lab.records.codec import encode
from lab.report.counter import Counter
from lab.report.shrunk import print_shrunk
from lab.report.terminal import console
from lab.store import shareable, write

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
    """Take from a plan all that it does not need to break its promise, and write what is left as a plan."""
    loaded = filled(load_plan(plan), {}, {})
    if variant:
        loaded = against(loaded, find(variant))
    if promise:
        PROMISES.get(promise)
    target = out or plan.with_suffix(".shrunk.json")
    prepare_file("--out", target)
    errors = console(stderr=True)
    with one_variant(loaded.variant, rig, errors) as (running, zygote):
        shrunk = shrink(
            loaded,
            runner(running, zygote),
            promise=promise,
            times=times,
            agree=agree,
            seconds=budget,
            progress=Counter(errors, "{} steps after {} runs"),
        )
    write(target, encode(shareable(shrunk.plan)))
    print_shrunk(console(), shrunk, target)
    return 0
