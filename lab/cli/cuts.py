"""`lab explore cuts`: one request, cut at every point, in every way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.one_variant import one_target
from lab.cli.options import (
    BoundFlag,
    DriverFlag,
    OptionFlag,
    PathFlag,
    PromiseFlag,
    PythonFlag,
    RigFlag,
    SettingFlag,
    ShardFlag,
    StoreFlag,
    prepare_file,
    variants_of,
)
from lab.cli.reports import HTML, ReportFlag, chosen_reports, draw_pages, folder_of
from lab.explore.cuts import MEANING, WAYS, Cuts, RequestName, chosen_ways, where
from lab.explore.engine import explore
from lab.explore.points import WINDOWS, Every, Window
from lab.records.shard import parse
from lab.records.words import WAYS as WAY_WORDS
from lab.report.counter import Counter
from lab.report.cuts import print_cuts
from lab.report.pages.tables import CUTS, keep_table
from lab.report.terminal import console, print_partial
from lab.store import Store, default_root, write

Name = Annotated[str, typer.Argument(metavar="VARIANT", help="A row of `lab list variants`, or any dotted ENGINE.")]
WindowFlag = Annotated[
    Window,
    typer.Option("--window", help="; ".join(f"{name}: {what}" for name, what in WINDOWS.items()) + "."),
]
EveryFlag = Annotated[Every, typer.Option("--every", help="Cut before every message, or before every byte.")]
WayFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--way",
        metavar="|".join(WAY_WORDS),
        help=f"This way alone; repeatable. Default: {', '.join(WAYS['message'])}; by byte {', '.join(WAYS['byte'])}.",
    ),
]
RequestFlag = Annotated[
    RequestName,
    typer.Option("--request", help="; ".join(f"{name}: {what}" for name, what in MEANING.items()) + "."),
]
CutsJson = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the table here, for programs.")]


def cuts_command(
    name: Name,
    window: WindowFlag = "request",
    every: EveryFlag = "message",
    request: RequestFlag = "plain",
    way: WayFlag = None,
    path: PathFlag = None,
    driver: DriverFlag = None,
    python: PythonFlag = "",
    setting: SettingFlag = None,
    option: OptionFlag = None,
    promise: PromiseFlag = None,
    bound: BoundFlag = None,
    json: CutsJson = None,
    rig: RigFlag = "",
    store: StoreFlag = None,
    report: ReportFlag = HTML,
    shard: ShardFlag = "",
) -> int:
    """Cut one request at every point, in every way, in both directions, and judge what the next two see.

    A stop is taken up where it was. Exit status 1: a claimed promise is broken somewhere.
    """
    (variant,) = variants_of([name], path=path, driver=driver, python=python, setting=setting, option=option)
    prepare_file("--json", json)
    part = parse(shard)
    reports = chosen_reports(report)
    exploration = Cuts((window,), every, chosen_ways(way or ()), request)  # an unknown way is said at once
    folder = Store(store or default_root())
    errors = console(stderr=True)
    with one_target(variant, rig, errors, bound, promise) as target:
        found = explore(exploration, target, folder, progress=Counter(errors, "{} of {} cases"), shard=part)
    print_cuts(console(), variant, found, folder.root)
    if json is not None:
        write(json, found.table.encode())
    place = folder_of(each.path for each in found.examples.values())
    keep_table(place, CUTS, variant, found.table, **where(found))
    draw_pages(reports, folder.root, errors)
    print_partial(errors, part)
    return 1 if any(variant.claimed(each) for each in found.broken) else 0
