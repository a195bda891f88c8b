"""Which variants there are: the bundled rows by name, any ENGINE by its path, a project's own settings module."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lab.errors import BadInput, VariantUnknown
from lab.records.codec import convert
from lab.records.plan import Plan
from lab.records.secret import holes
from lab.records.variant import Driver, Variant
from lab.registry import beside

ROWS_MODULE = "backend_under_test.variants"
"""Named, never imported statically: the lab knows no variant."""


def rows(module: str = ROWS_MODULE) -> dict[str, Variant]:
    """The bundled variants by name, in the order of their rows."""
    found = beside(module)
    variants = [convert(dataclasses.asdict(row), Variant) for row in found.ROWS]
    return {variant.name: variant for variant in variants}


def find(
    name: str,
    *,
    driver: Driver | None = None,
    python: str = "",
    path: Sequence[str] = (),
    settings: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    module: str = "",
    alias: str = "default",
    bare: bool = False,
    maximum: int = 0,
) -> Variant:
    """The row of that name, or any ENGINE, which claims all promises; with `module`, laid on its DATABASES[alias].

    `name` may be empty when `module` is given: the ENGINE is then the module's. An ENGINE and a module are looked for
    below `path` and the current folder. What else is given replaces the row's. A module's driver is the one that Django
    would choose in that interpreter; `bare`: nothing of it is used but its DATABASES. `maximum` is the
    most sessions that it states for each process and alias, 0 where it states none. Raises VariantUnknown.
    """
    known = rows()
    if os.sep in python:
        python = os.path.abspath(python)  # the subject starts elsewhere; a link into an environment stays one
    if name in known and not module:
        variant = known[name]
    elif (module and not name) or _is_engine(name, path):
        folder = str(Path.cwd()) if module else ""
        variant = Variant(
            name=name or f"{module}[{alias}]", engine=name, module=module, alias=alias, folder=folder, bare=bare
        )
        path = (*path, ".")
        if module and driver is None:
            driver = drivers_choice(python or sys.executable, path)
    else:
        raise VariantUnknown(
            f"{name!r} is neither a bundled variant nor a dotted ENGINE",
            f"bundled: {', '.join(known)}; or give an ENGINE such as my.backend, with --path DIR where it is",
        )
    changes: dict[str, Any] = {
        "driver": driver or variant.driver,
        "python": python or variant.python,
        # Resolved now: the plan may be replayed from another folder.
        "path": (*variant.path, *(str(Path(entry).resolve()) for entry in path)),
        "settings": {**variant.settings, **(settings or {})},
        "options": {**variant.options, **(options or {})},
        "maximum": maximum or variant.maximum,
    }
    return msgspec.structs.replace(variant, **changes)


def drivers_choice(python: str, path: Sequence[str] = ()) -> Driver:
    """The driver that Django takes in that interpreter: psycopg where it can be imported, else psycopg2."""
    folders = os.pathsep.join([*(str(Path(entry).resolve()) for entry in path), os.environ.get("PYTHONPATH", "")])
    try:
        done = subprocess.run(
            [python, "-c", "import psycopg"],
            env={**os.environ, "PYTHONPATH": folders.strip(os.pathsep)},
            capture_output=True,
            timeout=IMPORT_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "psycopg2"  # whatever is wrong with it is said when the subject starts
    return "psycopg2" if done.returncode else "psycopg"


IMPORT_TIMEOUT = 20.0
"""Seconds."""


def missing_driver(variant: Variant) -> str:
    """The module of its driver that the interpreter of the lab, which is to run it, lacks; "" where all is there."""
    wanted = [variant.driver, *(["psycopg_pool"] if variant.options.get("pool") else [])]
    return "" if variant.python else next((name for name in wanted if importlib.util.find_spec(name) is None), "")


def filled(plan: Plan, settings: dict[str, Any], options: dict[str, Any]) -> Plan:
    """A stored plan with what was masked in it, as it is given again; raises BadInput for what is not.

    What says how to prove who one is to a server with TLS is not needed: the lab's has none.
    """
    variant = plan.variant
    changed = msgspec.structs.replace(
        variant,
        settings={**variant.settings, **settings},
        options={**{key: value for key, value in variant.options.items() if key not in NOT_NEEDED}, **options},
    )
    for flag, values in (("--setting", changed.settings), ("--option", changed.options)):
        for hole in holes(values):
            key = hole.partition(".")[0].partition("[")[0]
            raise BadInput(
                f"{hole} of the plan's variant is a secret, which was not stored",
                f"give it again: {flag} '{key}=JSON'",
            )
    return msgspec.structs.replace(plan, variant=changed)


NOT_NEEDED = ("password", "passfile", "sslpassword", "sslkey")
"""OPTIONS that the lab replaces in any case."""


def _is_engine(name: str, path: Sequence[str]) -> bool:
    """A dotted path, or a package right below one of the folders."""
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return False
    return len(parts) > 1 or any((Path(folder) / name / "base.py").is_file() for folder in (*path, "."))
