"""`lab replay`: run a stored plan again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.check.replay import against, replay
from lab.check.variants import find
from lab.cli.one_variant import one_variant
from lab.cli.options import RigFlag, StoreFlag
from lab.cli.reports import HTML, ReportFlag, chosen_reports, draw_pages, keep_run
from lab.errors import PlanInvalid
from lab.fault import build
from lab.records.codec import decode_plan
from lab.records.plan import Plan
from lab.records.record import Record
from lab.records.verdict import Finding
from lab.report.replays import print_replays
from lab.report.terminal import console
from lab.store import default_root

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
    rig: RigFlag = "",
    store: StoreFlag = None,
    report: ReportFlag = HTML,
) -> int:
    """Run a plan again, against another variant too, and say how many of its runs agree.

    With a report, one of the runs is stored, the first that counts.
    """
    loaded = load_plan(plan)
    if variant:
        loaded = against(loaded, find(variant))
    reports = chosen_reports(report)
    errors = console(stderr=True)
    told: list[tuple[Record, tuple[Finding, ...]]] = []
    with one_variant(loaded.variant, rig, errors) as (running, zygote):
        replays = replay(loaded, running, zygote, times, lambda *run: told.append(run))
    print_replays(console(), replays)
    if reports:
        root = store or default_root()
        record, findings = next((run for run in told if not run[0].void), told[0])
        keep_run(root, "replays", record, findings)
        draw_pages(reports, root, errors)
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
