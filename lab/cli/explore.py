"""`lab explore`: everything there is of one kind, where a check tries what it has been told and what chance brings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.interleavings import interleavings_command
from lab.cli.options import (
    BoundFlag,
    DriverFlag,
    OptionFlag,
    PathFlag,
    PromiseFlag,
    PythonFlag,
    RigFlag,
    SettingFlag,
    StoreFlag,
    prepare_file,
    variants_of,
)
from lab.cli.stage import one_variant
from lab.cli.tell import Teller
from lab.cli.timeouts import timeouts_command
from lab.explore.cuts import WAYS, Ground, chosen_ways, explore
from lab.explore.points import WINDOWS, Every, Window
from lab.promise import PROMISES
from lab.records.words import WAYS as WAY_WORDS
from lab.report.strips import print_explored
from lab.report.terminal import console
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
CutsJson = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the table here, for programs.")]


def register(app: typer.Typer) -> None:
    """Add the group; another exploration is one more line here."""
    group = typer.Typer(help="Try everything there is of one kind.", no_args_is_help=True)
    group.command("cuts")(cuts_command)
    group.command("interleavings")(interleavings_command)
    group.command("timeouts")(timeouts_command)
    group.callback()(lambda: None)  # one command alone would be the group itself
    app.add_typer(group, name="explore")


def cuts_command(
    name: Name,
    window: WindowFlag = "request",
    every: EveryFlag = "message",
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
) -> int:
    """Cut one request at every point, in every way, in both directions, and judge what the next two see.

    A stop is taken up where it was. Exit status 1: a claimed promise is broken somewhere.
    """
    (variant,) = variants_of([name], path=path, driver=driver, python=python, setting=setting, option=option)
    prepare_file("--json", json)
    ways = chosen_ways(way or WAYS[every])  # one that is none is said before anything starts
    judges = tuple(PROMISES.get(each) for each in dict.fromkeys(promise or ())) or None
    folder = Store(store or default_root())
    errors = console(stderr=True)
    with one_variant(variant, rig, errors) as (running, zygote):
        ground = Ground(variant, running, zygote, bound or variant.bound or 10.0, judges)
        found = explore(
            ground, folder, windows=(window,), every=every, ways=ways, tell=Teller(errors, "{} of {} cases")
        )
    print_explored(console(), variant, found, folder.root)
    if json is not None:
        write(json, found.cuts.encode())
    broken = {each for one in found.cuts.classes for each in one.promises}
    return 1 if any(variant.claimed(each) for each in broken) else 0
