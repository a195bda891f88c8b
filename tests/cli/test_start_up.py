"""A command loads what it needs and nothing else: what the lab drags in is slow, and may be missing."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import lab.cli
from fix_cli import ROOT, caller_environ
from lab.cli import COMMANDS, build_app

HEAVY = {"docker", "requests", "psycopg", "psycopg2", "hypothesis", "toxiproxy", "jinja2", "asyncio", "django"}
PROGRAM = """
import sys
from lab.cli import main
try:
    main(sys.argv[1:])
except SystemExit as left:
    assert left.code in (0, None), left.code
print(*sys.modules, sep="\\n", file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list", "--help"],
        *(["list", what] for what in ("variants", "promises", "faults", "moments", "steps")),
    ],
    ids=" ".join,
)
def test_listing_loads_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=tmp_path,
        env={**caller_environ(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stderr.split())
    assert "typer" in loaded
    assert not loaded & HEAVY
    assert done.stdout.strip()


def test_every_module_that_registers_is_a_command() -> None:
    found = {
        module.name
        for module in pkgutil.iter_modules(lab.cli.__path__)
        if "\ndef register(" in (Path(lab.cli.__path__[0]) / f"{module.name}.py").read_text()
    }
    assert {command.module for command in COMMANDS.values()} == found


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_all_says_what_the_command_says_of_itself(name: str) -> None:
    group = typer.main.get_command(build_app([name]))
    assert isinstance(group, typer.core.TyperGroup)
    said = inspect.cleandoc(group.commands[name].help or "").split("\n\n")[0]
    assert " ".join(said.split()) == COMMANDS[name].summary
