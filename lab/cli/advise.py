"""`lab advise`: what to change in a project's settings, proven by running it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from lab.advice.advise import advise
from lab.check.check import Options
from lab.check.claims import checked, from_project
from lab.cli.check import rigs
from lab.cli.options import (
    AliasFlag,
    AnyPasswordFlag,
    BareFlag,
    BoundFlag,
    ClaimFlag,
    DriverFlag,
    JsonFlag,
    MaximumFlag,
    Names,
    OptionFlag,
    PathFlag,
    PromiseFlag,
    PythonFlag,
    RigFlag,
    SettingFlag,
    SettingsFlag,
    StoreFlag,
    prepare_file,
    variants_of,
)
from lab.errors import BadInput
from lab.report.advice import print_advice
from lab.report.progress import progress
from lab.report.terminal import console, short
from lab.store import Store, default_root, write


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("advise")(advise_command)


def advise_command(
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
    bound: BoundFlag = None,
    json: JsonFlag = None,
    store: StoreFlag = None,
    rig: RigFlag = "",
    any_password: AnyPasswordFlag = False,
) -> int:
    """Find which settings turn broken promises into kept ones, and print them as a diff of DATABASES.

    It checks, tries each change on the plans that broke something, takes the smallest set that mends the most, runs all
    plans again to see that nothing else breaks, and measures what it costs. Exit status 1: a claimed promise stays
    broken.
    """
    found = variants_of(
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
    if len(found) > 1:
        raise BadInput("advice is for one variant at a time", "name one")
    prepare_file("--json", json)
    claims = checked(claim) if claim else from_project(Path.cwd())
    options = Options(promises=tuple(promise or ()), bound=bound, claims=claims)
    options.chosen()  # an unknown promise is said before anything starts
    folder = Store(store or default_root())
    errors = console(stderr=True)
    with rigs(rig, progress(errors), trust=any_password) as (shown, running, second):
        advice = advise(found[0], running, options, folder, shown, second)
    print_advice(console(), advice)
    if json is not None:
        write(json, msgspec.json.format(msgspec.json.encode(advice), indent=1) + b"\n")
    errors.print(f"evidence: {short(str(folder.root))}", markup=False, soft_wrap=True)
    return advice.status
