"""`lab doctor`: what the lab needs, where it was found, and what to do about what is missing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from lab.errors import LabError
from lab.report.terminal import console
from lab.rig.docker.doctor import available
from lab.rig.doctor import Finding, findings
from lab.rig.embedded.rig import Rig
from lab.rig.rigs import chosen, open_rig
from lab.store import default_root

FAILED = 255
DOCKER = "docker"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor() -> int:
    """Look for everything that the lab needs, then start and stop its servers once."""
    containers = chosen() == DOCKER
    found = [*findings(containers=containers), _store()]
    if all(each.ok for each in found):
        found += [] if containers else [_start()]
        found += _containers()
    table = Table(box=box.ROUNDED)
    for title in ("what", "state", "version", "found"):
        table.add_column(title, no_wrap=title != "found")
    for each in found:
        state = Text("✓ ok", "green") if each.ok else Text("✗ missing", "bold red")
        table.add_row(each.name, state, each.version, "\n".join(filter(None, (each.what, each.where))))
    out = console()
    out.print(table)
    for each in found:
        if not each.ok:
            out.print(f"{each.name}: {each.what}; {each.remedy}", markup=False, soft_wrap=True)
    return 0 if all(each.ok for each in found) else FAILED


def _store() -> Finding:
    """Whether evidence can be written where it goes by default."""
    root = default_root().absolute()
    nearest = next(folder for folder in (root, *root.parents) if folder.exists())
    ok = nearest.is_dir() and os.access(nearest, os.W_OK)
    return Finding(
        "store",
        ok=ok,
        what="can be written" if ok else f"{nearest} cannot be written",
        where=str(root),
        remedy="" if ok else "choose another folder with --store or $LAB_STORE",
    )


def _containers() -> list[Finding]:
    """Where an engine has the images: whether the servers start there too, and a RST arrives as a RST."""
    try:
        version, missing = available()
    except LabError:
        return []  # said already
    if missing:
        return []
    begun = time.monotonic()
    try:
        with open_rig(DOCKER) as rig:
            postgres = rig.versions()["postgresql"]
            what = f"PostgreSQL {postgres} ready after {time.monotonic() - begun:.1f} s; a RST arrives as RST"
            return [Finding("way to containers", ok=True, what=what, where=rig.host, version=version)]
    except LabError as error:
        return [Finding("way to containers", ok=False, what=error.message, version=version, remedy=error.remedy)]


def _start() -> Finding:
    """The proof: the servers start."""
    begun = time.monotonic()
    try:
        with Rig() as rig:
            what = f"servers ready after {time.monotonic() - begun:.1f} s, on {os.cpu_count()} processors"
            return Finding("rig", ok=True, what=what, where=str(Path(rig.folder).parent))
    except LabError as error:
        return Finding("rig", ok=False, what=error.message, remedy=error.remedy)
