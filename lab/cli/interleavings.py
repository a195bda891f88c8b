"""`lab explore interleavings`: a few requests at the same time, their steps in every order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

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
    key_values,
    prepare_file,
    variants_of,
)
from lab.cli.stage import one_variant
from lab.cli.tell import Teller
from lab.errors import BadInput
from lab.explore.interleavings import (
    BOUND,
    CALM,
    SHAPES,
    USUAL,
    Explored,
    Scene,
    Stage,
    explore,
    require_service,
    shapes,
)
from lab.fault import build
from lab.promise import PROMISES
from lab.records.plan import FaultSpec
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.report.terminal import console, short
from lab.report.verdict_mark import moment_mark
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
        f"Default: all for two requests without a fault, else {BOUND}.",
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
) -> int:
    """Run two or three requests at once, their database steps in every order, and judge each order.

    A stop is taken up where it was. Exit status 1: a claimed promise is broken in some order.
    """
    (variant,) = variants_of([name], path=path, driver=driver, python=python, setting=setting, option=option)
    prepare_file("--json", json)
    scene = _scene(requests, request or (), with_fault, key_values("--fault-param", fault_param))
    most = _preemptions(preemptions, scene)
    judges = tuple(PROMISES.get(each) for each in dict.fromkeys(promise or ())) or None
    folder = Store(store or default_root())
    errors = console(stderr=True)
    with one_variant(variant, rig, errors) as (running, zygote):
        stage = Stage(variant, running, zygote, bound or variant.bound or 10.0, judges)
        require_service(stage, scene)
        found = explore(stage, folder, scene, preemptions=most, tell=Teller(errors, "{} of {} cases"))
    _print(console(), variant, found, folder.root)
    if json is not None:
        write(json, found.table.encode())
    return 1 if any(variant.claimed(each) for each in found.table.broken) else 0


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
        return None if len(scene.shapes) == 2 and scene.fault is None else BOUND
    if text == "all":
        return None
    if not text.isdecimal():
        raise BadInput(f"--preemptions {text}: that is no number", "give 0, 1, 2, … or all")
    return int(text)


def _print(out: Console, variant: Variant, found: Explored, root: Path) -> None:
    """The classes, the simplest order of each, and how to see it again."""
    made = found.table
    bound = "" if made.preemptions is None else f" (at most {made.preemptions} preemptions)"
    fault = f", {made.fault.kind} at every position: {made.cases} cases" if made.fault else ""
    out.print(
        f"{variant.name}: {made.orders} of {made.all_orders} orders of {', '.join(made.requests)}{bound}{fault}; "
        f"{made.void} void; {found.seconds:.1f} s" + (f", {found.resumed} from before" if found.resumed else ""),
        markup=False,
        soft_wrap=True,
    )
    table = Table(box=box.ROUNDED)
    for title in ("class", "cases", "promises", "simplest order", "again", "evidence"):
        table.add_column(title, no_wrap=title != "promises", overflow="fold")
    for each in made.classes:
        example = found.examples[each.letter]
        words = Text(CALM.get(each.letter, ""))
        for number, promise in enumerate(each.promises):
            mark = moment_mark(Verdict.BROKEN, variant.claimed(promise))
            words.append(("\n" if number else "") + promise, mark.style)
        agreed = f"{example.agreed} of {example.runs}"
        table.add_row(each.letter, str(each.count), words, example.case.name, agreed, Path(each.evidence).parent.name)
    out.print(table)
    for each in made.classes:
        if each.promises:
            out.print(f"{each.letter}: lab replay {short(str(root / each.evidence))}", markup=False, soft_wrap=True)
