"""`lab replay`: run a stored plan again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.check.replay import against, replay
from lab.check.variants import filled, find
from lab.cli.one_variant import one_variant
from lab.cli.options import OptionFlag, RigFlag, SettingFlag, key_values
from lab.errors import PlanInvalid
from lab.fault import build
from lab.records.codec import decode_plan
from lab.records.plan import Plan
from lab.report.replays import print_replays
from lab.report.terminal import console

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN.JSON", help="A plan, e.g. one from a store folder.")]
VariantFlag = Annotated[
    str,
    typer.Option("--variant", metavar="NAME_OR_ENGINE", help="Run it against this variant; default: the plan's own."),
]
TimesFlag = Annotated[int, typer.Option("--times", metavar="N", min=1, help="How often.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(replay_command)


def replay_command(
    plan: PlanFile,
    variant: VariantFlag = "",
    times: TimesFlag = 1,
    setting: SettingFlag = None,
    option: OptionFlag = None,
    rig: RigFlag = "",
) -> int:
    """Run a plan again, against another variant too, and say how many of its runs agree."""
    loaded = load_plan(plan)
    if variant:
        loaded = against(loaded, find(variant))
    loaded = filled(loaded, key_values("--setting", setting), key_values("--option", option))
    errors = console(stderr=True)
    with one_variant(loaded.variant, rig, errors) as (running, zygote):
        replays = replay(loaded, running, zygote, times)
    print_replays(console(), replays)
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
