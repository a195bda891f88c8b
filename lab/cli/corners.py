"""Which versions of Django, drivers and Python a command line asks for, and the environments that they need."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from typing import Annotated, get_args

import typer

from lab.check.corners import Corner
from lab.errors import BadInput
from lab.records.variant import Driver
from lab.report.terminal import console
from lab.rig.machine import cache
from lab.rig.machine.environments import Environment, Unavailable, make, versions

DjangoFlag = Annotated[str, typer.Option("--django", metavar="5.2,6.0,…", help="Compare these, in environments of uv.")]
DriversFlag = Annotated[
    str, typer.Option("--driver", metavar="psycopg2,psycopg", help="Compare these. Default: each row's own.")
]
PythonsFlag = Annotated[
    str, typer.Option("--python", metavar="3.11,3.13,…", help="Compare these. Default: the one that runs the lab.")
]
OfflineFlag = Annotated[bool, typer.Option("--offline", help="Make no environment: use those that are there.")]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Make the environments that are missing without asking.")]
DRIVERS: tuple[Driver, ...] = get_args(Driver)


def chosen_corners(django: str, driver: str, python: str, offline: bool, *, yes: bool) -> list[Corner]:
    """Every combination of the lists, its environment made; raises BadInput, ToolMissing."""
    drivers: list[Driver | None] = [*drivers_of(driver)] or [None]
    own = importlib.metadata.version("django").split(".")
    wanted = [
        Environment(version, interpreter)
        for version in versions("--django", django) or [".".join(own[:2])]
        for interpreter in versions("--python", python) or [".".join(platform.python_version_tuple()[:2])]
    ]
    there = _environments(wanted, offline=offline, yes=yes)
    return [Corner(environment, each) for environment in there for each in drivers]


def drivers_of(text: str) -> list[Driver]:
    """The drivers of a list with commas, each once, in the order of DRIVERS; raises BadInput."""
    wanted = [each.strip() for each in text.split(",") if each.strip()]
    for each in wanted:
        if each not in DRIVERS:
            raise BadInput(f"--driver {each}: there is no such driver", f"choose from {', '.join(DRIVERS)}")
    return [each for each in DRIVERS if each in wanted]


def _environments(wanted: list[Environment], *, offline: bool, yes: bool) -> list[Environment]:
    """Those that can be had: what is missing is made, once it has been asked for."""
    missing = [each for each in wanted if not each.there]
    if missing and not (offline or yes):
        what = f"{len(missing)} environments are to be made with uv in {cache.folder()}"
        if not sys.stdin.isatty():
            raise BadInput(what, "say so with --yes")
        if not typer.confirm(f"{what}, some 60 MB each. Make them?", err=True):
            raise BadInput(f"{what}, which was refused", "name fewer versions")
    found, errors = [], console(stderr=True)
    for each in wanted:
        if each in missing and not offline:
            errors.print(f"making an environment with {each}", markup=False)
        try:
            make(each, offline=offline)
        except Unavailable as why:
            errors.print(f"left out: {each}: {why}", markup=False, soft_wrap=True)
        else:
            found.append(each)
    if not found:
        raise BadInput("none of these versions go together", "name others")
    return found
