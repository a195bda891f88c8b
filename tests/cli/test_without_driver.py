"""The lab without its own driver, psycopg2: commands that need it say so in a line, and the plugin needs none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ABSENT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("psycopg", "psycopg2", "psycopg_pool"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", ABSENT + program, *arguments]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", [["check", "my.backend"], ["doctor"], ["matrix"]])
def test_command_names_what_to_install(command: list[str]) -> None:
    done = run("from lab.cli import main; main()", *command)
    assert done.returncode == 255
    assert done.stderr.splitlines()[-1:] == ["lab: psycopg2 is not installed; pip install psycopg2-binary"]
    assert "Traceback" not in done.stderr


def test_commands_load_no_other_driver() -> None:
    """Beside a project that has psycopg2 alone, whatever the lab imported would be another driver for Django."""
    program = (
        "import importlib\n"
        "from lab.cli import COMMANDS\n"
        "for each in COMMANDS.values(): importlib.import_module(f'lab.cli.{each.module}')\n"
        "import lab.rig.embedded.rig, lab.rig.docker.rig, lab.rig.netns.rig, lab.rig.embedded.alone\n"
        "print(sorted({'psycopg', 'psycopg_pool', 'psycopg2'} & set(sys.modules)))\n"
    )
    argv = [sys.executable, "-c", ABSENT.replace('"psycopg", "psycopg2"', '"psycopg"') + program]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "['psycopg2']", done.stderr


def test_plugin_loads_neither_a_driver_nor_django() -> None:
    program = (
        "import pytest, lab.pytest_plugin\n"
        "heavy = {'psycopg', 'psycopg2', 'django', 'msgspec', 'typer', 'rich', 'hypothesis', 'docker'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = run(program)
    assert done.stdout.strip() == "[]", done.stderr
