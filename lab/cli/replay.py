"""`lab replay`: run a stored plan again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.check.lanes import SLOTS
from lab.check.replay import against, replay
from lab.check.replay_all import Stored, distinct, replay_all
from lab.check.variants import filled, find
from lab.cli.one_variant import one_variant
from lab.cli.options import OptionFlag, RigFlag, SettingFlag, StoreFlag, key_values
from lab.cli.reports import HTML, ReportFlag, chosen_reports, draw_pages, keep_run
from lab.cli.stored import findings_of
from lab.errors import BadInput, PlanInvalid
from lab.fault import build
from lab.records.codec import decode_plan
from lab.records.plan import Plan
from lab.records.record import Record
from lab.records.verdict import Finding
from lab.report.changes import print_all_again
from lab.report.counter import Counter
from lab.report.pages.shelf import open_shelf
from lab.report.pages.words import shown
from lab.report.replays import print_replays
from lab.report.terminal import console, short
from lab.rig.rigs import open_rig, prepare
from lab.store import default_root

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN.JSON", help="A plan, e.g. one from a store folder.")]
VariantFlag = Annotated[
    str,
    typer.Option("--variant", metavar="NAME_OR_ENGINE", help="Run it against this variant; default: the plan's own."),
]
AllFlag = Annotated[
    bool, typer.Option("--all", help="Run every finding of a store again; give its folder instead of a plan.")
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
    store: StoreFlag = None,
    report: ReportFlag = HTML,
    everything: AllFlag = False,
) -> int:
    """Run a plan again, against another variant too, and say how many of its runs agree.

    With a report, one of the runs is stored, the first that counts. With --all, PLAN.JSON is a store's folder, and each
    finding in it is run again: still there, flaky or fixed; exit status 1 when a claimed promise is still broken.
    """
    if everything:
        return _replay_all(plan, variant, times, rig)
    loaded = load_plan(plan)
    if variant:
        loaded = against(loaded, find(variant))
    loaded = filled(loaded, key_values("--setting", setting), key_values("--option", option))
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


def _replay_all(store: Path, variant: str, times: int, rig: str) -> int:
    """Every stored finding again. A plan names its ENGINE and interpreter: only a store that is trusted is replayed."""
    damaged: list[str] = []
    found = distinct(findings_of(open_shelf(store), damaged))
    if variant:
        chosen = find(variant)
        found = distinct(Stored(each.where, against(each.plan, chosen)) for each in found)
    errors = console(stderr=True)
    for line in damaged:
        errors.print(f"cannot be read: {shown(short(line))}", markup=False, soft_wrap=True)
    if not found and damaged:
        raise BadInput(f"{store}: no stored finding could be read", "give a store of this lab")
    if not found:
        raise BadInput(f"{store} holds no finding", "give the folder of a store in which something is broken")
    servers = prepare(rig)
    with open_rig(servers, lambda line: errors.print(line, markup=False), SLOTS) as running:
        done = replay_all(found, running, times, Counter(errors, "{} of {} runs"))
    print_all_again(console(), done)
    # Of a finding that cannot be read nobody knows whether it is fixed.
    return done.status or (2 if damaged else 0)


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
