"""`lab check`: judge one or more variants."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import msgspec
import typer
from rich.console import Console

from lab.check.check import Options, check
from lab.check.claims import checked, from_project
from lab.check.lanes import SLOTS
from lab.check.progress import Progress
from lab.cli.options import (
    AliasFlag,
    AnyPasswordFlag,
    BareFlag,
    BoundFlag,
    BudgetFlag,
    ClaimFlag,
    DriverFlag,
    JsonFlag,
    MaximumFlag,
    Names,
    OptionFlag,
    PathFlag,
    PromiseFlag,
    PythonFlag,
    QuietFlag,
    RigFlag,
    SeedFlag,
    SettingFlag,
    SettingsFlag,
    ShardFlag,
    StoreFlag,
    key_values,
    prepare_file,
    variants_of,
)
from lab.cli.reports import HTML, KINDS, ReportsFlag, chosen_reports, write_reports
from lab.records.result import Result, exit_status
from lab.records.secret import masked
from lab.records.shard import parse
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.report.json import write_json
from lab.report.progress import print_stopped, progress, quiet
from lab.report.terminal import console, print_result, short
from lab.rig.base import BaseRig
from lab.rig.rigs import apart, open_rig, prepare
from lab.store import Store, default_root


class Face(Progress, Protocol):
    """Progress that is shown for the length of a block."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check_command)


def check_command(
    names: Names = None,
    path: PathFlag = None,
    driver: DriverFlag = None,
    python: PythonFlag = "",
    setting: SettingFlag = None,
    option: OptionFlag = None,
    settings: SettingsFlag = "",
    alias: AliasFlag = "default",
    bare: BareFlag = False,
    promise: PromiseFlag = None,
    claim: ClaimFlag = None,
    maximum: MaximumFlag = None,
    budget: BudgetFlag = None,
    seed: SeedFlag = 0,
    bound: BoundFlag = None,
    json: JsonFlag = None,
    store: StoreFlag = None,
    rig: RigFlag = "",
    report: ReportsFlag = HTML,
    any_password: AnyPasswordFlag = False,
    silent: QuietFlag = False,
    shard: ShardFlag = "",
) -> int:
    """Judge variants: which promises they keep under faults, with evidence that replays.

    An ENGINE without a row in `lab list variants` claims every promise; a project, and Django's own ENGINE, what Django
    documents, and whatever is broken beyond Django's own limits counts as well.
    """
    variants = variants_of(
        names,
        path=path,
        driver=driver,
        python=python,
        setting=setting,
        option=option,
        settings=settings,
        alias=alias,
        bare=bare,
        maximum=maximum,
    )
    prepare_file("--json", json)
    reports = chosen_reports(report, KINDS)
    claims = checked(claim) if claim else from_project(Path.cwd())
    options = Options(
        promises=tuple(promise or ()), budget=budget, seed=seed, bound=bound, claims=claims, shard=parse(shard)
    )
    face = quiet if silent else progress
    results = judge_variants(variants, options, store, rig, trust=any_password, face=face)
    out = console()
    for result in results:
        print_result(out, result)
    if any(each.verdict is Verdict.BROKEN for result in results for each in result.promises.values()):
        given = {
            "path": path,
            "setting": _shareable("--setting", setting),
            "option": _shareable("--option", option),
        }
        single = {"settings": settings, "driver": driver or "", "python": python}
        single["alias"] = "" if alias == "default" else alias
        single["maximum"] = str(maximum or "")
        line = f"what to change: {_advise(names or [], single, given, bare=bare)}"
        out.print(line, markup=False, soft_wrap=True)
    if json is not None:
        write_json(json, results)
    write_reports(reports, results, store or default_root(), console(), console(stderr=True), quiet=silent)
    return exit_status(results)


def _shareable(flag: str, given: list[str] | None) -> list[str]:
    """What was given, with a mask for a secret: the command is printed, and what is printed is kept."""
    values = key_values(flag, given)
    return [f"{key}={msgspec.json.encode(value).decode()}" for key, value in masked(values).items()]


def _advise(
    names: Sequence[str], single: Mapping[str, str], several: Mapping[str, list[str] | None], *, bare: bool
) -> str:
    """The command that tells what to change, for what was checked; of several variants one is to be named."""
    words = ["lab", "advise", names[0] if len(names) == 1 else "NAME" if names else ""]
    words += [f"--{flag}={shlex.quote(value)}" for flag, value in single.items() if value]
    words += [f"--{flag}={shlex.quote(value)}" for flag, values in several.items() for value in values or ()]
    return " ".join(filter(None, [*words, "--bare" if bare else ""]))


def judge_variants(
    variants: Sequence[Variant],
    options: Options,
    folder: Path | None,
    rig: str = "",
    postgres: str = "",
    *,
    trust: bool = False,
    face: Callable[[Console], Face] = progress,
) -> list[Result]:
    """Start a rig, check the variants on it, and show on stderr how far it is (by `face`); raises LabError.

    `rig` is its name, "": $LAB_RIG says; `postgres` the version of its server, where it has a choice. `trust`: it
    takes any password.
    """
    options.chosen()  # an unknown promise is said before anything starts
    store = Store(folder or default_root())
    errors = console(stderr=True)
    try:
        with rigs(rig, face(errors), postgres, trust=trust) as (shown, running, second):
            results = check(variants, running, options, store, shown, second)
    except KeyboardInterrupt:
        print_stopped(errors, [each.path for each in store.opened], store.root)
        raise
    if face is not quiet:
        errors.print(f"evidence: {short(str(store.root))}", markup=False, soft_wrap=True)
    return results


@contextmanager
def rigs(
    name: str, face: Face, postgres: str = "", *, trust: bool = False
) -> Iterator[tuple[Face, BaseRig, Callable[[], BaseRig | None]]]:
    """A rig, and what starts a second one, for plans that run alone; what starts is told to the face."""
    servers = prepare(name)  # before the first thread
    with ExitStack() as stack:
        shown = stack.enter_context(face)
        running = stack.enter_context(open_rig(servers, shown.say, SLOTS, postgres=postgres))
        if trust:
            running.trust()
        second = stack.enter_context(apart(running, shown.say, postgres=postgres, trust=trust))
        yield shown, running, second
