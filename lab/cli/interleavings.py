"""`lab explore interleavings`: a few requests at the same time, their steps in every order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
    key_values,
    prepare_file,
    variants_of,
)
from lab.cli.reports import HTML, ReportFlag, chosen_reports, draw_pages, folder_of
from lab.errors import BadInput
from lab.explore.engine import explore
from lab.explore.interleavings import SHAPES, USUAL, USUAL_PREEMPTIONS, Interleavings, Scene, shapes
from lab.fault import build
from lab.records.plan import FaultSpec
from lab.records.shard import parse
from lab.report.counter import Counter
from lab.report.interleavings import print_interleavings
from lab.report.pages.tables import ORDERS, keep_table
from lab.report.terminal import console, print_partial
from lab.store import Store, default_root, write

Name = Annotated[str, typer.Argument(metavar="VARIANT", help="A row of `lab list variants`, or any dotted ENGINE.")]
RequestsFlag = Annotated[int, typer.Option("--requests", metavar="2|3", min=2, max=3, help="How many at once.")]
RequestFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--request",
        metavar="|".join(SHAPES),
        help=f"What each of them does, instead of {', '.join(USUAL[3])}; once for each.",
    ),
]
PreemptionsFlag = Annotated[
    str,
    typer.Option(
        "--preemptions",
        metavar="N|all",
        help="Orders in which at most N times another request goes on although the last one could have. "
        f"Default: all for two requests without a fault, else {USUAL_PREEMPTIONS}.",
    ),
]
FaultFlag = Annotated[str, typer.Option("--with-fault", metavar="KIND", help="One fault, at every position in turn.")]
ParamFlag = Annotated[
    list[str] | None, typer.Option("--fault-param", metavar="KEY=JSON", help="A parameter of the fault.")
]
TableJson = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the table here, for programs.")]


def interleavings_command(
    name: Name,
    requests: RequestsFlag = 2,
    request: RequestFlag = None,
    preemptions: PreemptionsFlag = "",
    with_fault: FaultFlag = "",
    fault_param: ParamFlag = None,
    path: PathFlag = None,
    driver: DriverFlag = None,
    python: PythonFlag = "",
    setting: SettingFlag = None,
    option: OptionFlag = None,
    promise: PromiseFlag = None,
    bound: BoundFlag = None,
    json: TableJson = None,
    rig: RigFlag = "",
    store: StoreFlag = None,
    report: ReportFlag = HTML,
    shard: ShardFlag = "",
) -> int:
    """Run two or three requests at once, their database steps in every order, and judge each order.

    A stop is taken up where it was. Exit status 1: a claimed promise is broken in some order.
    """
    (variant,) = variants_of([name], path=path, driver=driver, python=python, setting=setting, option=option)
    prepare_file("--json", json)
    part = parse(shard)
    reports = chosen_reports(report)
    scene = _scene(requests, request or (), with_fault, key_values("--fault-param", fault_param))
    exploration = Interleavings(scene, _preemptions(preemptions, scene))
    folder = Store(store or default_root())
    errors = console(stderr=True)
    with one_target(variant, rig, errors, bound, promise) as target:
        found = explore(exploration, target, folder, progress=Counter(errors, "{} of {} cases"), shard=part)
    print_interleavings(console(), variant, found, folder.root)
    if json is not None:
        write(json, found.table.encode())
    place = folder_of(each.path for each in found.examples.values())
    keep_table(place, ORDERS, variant, found.table, seconds=found.seconds)
    draw_pages(reports, folder.root, errors)
    print_partial(errors, part)
    return 1 if any(variant.claimed(each) for each in found.broken) else 0


def _scene(requests: int, names: list[str] | tuple[()], fault: str, params: dict[str, Any]) -> Scene:
    chosen = shapes(names) if names else USUAL[requests]
    if len(chosen) not in USUAL:
        raise BadInput(f"--request is given {len(chosen)} times", "give it twice or three times: once for each request")
    if params and not fault:
        raise BadInput("--fault-param is given without a fault", "add --with-fault KIND")
    spec = FaultSpec(fault, params) if fault else None
    if spec is not None:
        build(spec)  # what is wrong with it is said before anything starts
    return Scene(chosen, spec)


def _preemptions(text: str, scene: Scene) -> int | None:
    if not text:
        return None if len(scene.shapes) == 2 and scene.fault is None else USUAL_PREEMPTIONS
    if text == "all":
        return None
    if not text.isdecimal():
        raise BadInput(f"--preemptions {text}: that is no number", "give 0, 1, 2, … or all")
    return int(text)
