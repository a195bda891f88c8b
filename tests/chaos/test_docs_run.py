"""The commands of README and docs do what they are shown to do: the fast ones at every push, all of them at night."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from doc_blocks import ROOT, Block, blocks, fits, pages

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

LONGEST = 600.0
"""Seconds after which a command is taken to hang."""
PLACES = (
    "lab",
    "faults",
    "backend_under_test",
    "tests",
    "examples",
    "benchmarks",
    "docs",
    "pyproject.toml",
    "conftest.py",
)
DROPPED = ("LAB_STORE", "COLUMNS", "LINES", "NO_COLOR")
FOUND = {str(page.relative_to(ROOT)): blocks(page) for page in pages()}
FAST = [name for name, found in FOUND.items() if any(block.when == "fast" for block in found)]
ALL = [name for name, found in FOUND.items() if any(block.when for block in found)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of its own, which the commands of a page may change, with `lab` and `pytest` on the path."""
    for name in PLACES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy(ROOT / name, tmp_path)
    bin_ = tmp_path / ".venv" / "bin"
    bin_.mkdir(parents=True)
    for name, module in (("lab", "lab.cli"), ("pytest", "pytest"), ("python", "")):
        script = bin_ / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {f"-m {module}" if module else ""} "$@"\n')
        script.chmod(0o755)
    return tmp_path


def _run(block: Block, checkout: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in DROPPED}
    path = f"{checkout / '.venv' / 'bin'}:{os.environ['PATH']}"
    environ |= {"PATH": path, "PYTHONPATH": str(checkout)}
    commands = block.commands()
    for number, (command, shown) in enumerate(commands, 1):
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=checkout,
            env=environ,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        said = f"{block.page}:{block.line}: {command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert done.returncode in ({block.status} if number == len(commands) else {0, 1, 2}), said
        if shown is not None:
            assert fits(shown, done.stdout.splitlines()) == "", said


@pytest.mark.parametrize("page", FAST)
def test_the_fast_commands_of_a_page_do_as_shown(page: str, checkout: Path) -> None:
    for block in FOUND[page]:
        if block.when == "fast":
            _run(block, checkout)


@pytest.mark.nightly
@pytest.mark.parametrize("page", ALL)
def test_the_commands_of_a_page_do_as_shown(page: str, checkout: Path) -> None:
    for block in FOUND[page]:
        if block.when:
            _run(block, checkout)


def test_a_command_that_does_something_else_is_seen(checkout: Path) -> None:
    _run(Block("page.md", 1, "console", "$ echo 3 of 4 plans\n1 of 1 plans\n"), checkout)
    with pytest.raises(AssertionError, match="is not there"):
        _run(Block("page.md", 1, "console", "$ echo 3 of 4 plans\nall plans\n"), checkout)
    with pytest.raises(AssertionError, match=r"page\.md:1"):
        _run(Block("page.md", 1, "sh", "false\n"), checkout)
