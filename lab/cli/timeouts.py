"""`lab explore timeouts`: what notices which loss after how many seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.options import (
    AliasFlag,
    DriverFlag,
    OptionFlag,
    PathFlag,
    PythonFlag,
    SettingFlag,
    SettingsFlag,
    StoreFlag,
    prepare_file,
    variants_of,
)
from lab.cli.reports import HTML, ReportFlag, chosen_reports, draw_pages
from lab.explore.timeouts.run import HORIZON, run_timeouts
from lab.report.counter import Counter
from lab.report.pages.tables import TIMEOUTS, keep_table
from lab.report.terminal import console
from lab.report.timeouts import print_timeouts
from lab.rig.rigs import open_rig, prepare
from lab.store import Store, default_root, slug, write

RIG = "netns"
"""The only rig that loses packets, so the command has no flag that chooses one."""

CONNECTIONS = 200
"""Slots of its server: a session that lost its client keeps one for a while, and pools want several each."""

Name = Annotated[
    str | None, typer.Argument(metavar="VARIANT", help="A row of `lab list variants`, or any dotted ENGINE.")
]
HorizonFlag = Annotated[
    float,
    typer.Option(
        "--horizon",
        metavar="SECONDS",
        min=2.0,
        max=600.0,
        help="How long to wait for each loss to be noticed; choose more than your own settings add up to.",
    ),
]
TableJson = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the table here, for programs.")]


def timeouts_command(
    name: Name = None,
    path: PathFlag = None,
    driver: DriverFlag = None,
    python: PythonFlag = "",
    setting: SettingFlag = None,
    option: OptionFlag = None,
    settings: SettingsFlag = "",
    alias: AliasFlag = "default",
    horizon: HorizonFlag = HORIZON,
    json: TableJson = None,
    store: StoreFlag = None,
    report: ReportFlag = HTML,
) -> int:
    """Lose packets under a client in each situation, and tell what notices it after how many seconds.

    It runs in a network namespace of its own (Linux; neither root nor Docker is needed) and takes some 30 seconds.
    """
    (variant,) = variants_of(
        [name] if name else None,
        path=path,
        driver=driver,
        python=python,
        setting=setting,
        option=option,
        settings=settings,
        alias=alias,
    )
    prepare_file("--json", json)
    reports = chosen_reports(report)
    prepare(RIG)  # moves this process, which must not have started a thread
    errors = console(stderr=True)
    with open_rig(RIG, lambda line: errors.print(line, markup=False), CONNECTIONS) as rig:
        table = run_timeouts(variant, rig, horizon, progress=Counter(errors, "{} of {} cells"))
    print_timeouts(console(), table)
    if json is not None:
        write(json, table.encode())
    folder = Store(store or default_root())
    keep_table(folder.root / slug(variant.name, keep="._") / TIMEOUTS, TIMEOUTS, variant, table)
    draw_pages(reports, folder.root, errors)
    return 0
