"""The command line as a person runs it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

import lab.cli.check
from lab.cli import main
from lab.rig.base import BaseRig

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 120.0
"""Seconds after which a command is taken to hang."""

Lab = Callable[..., "subprocess.CompletedProcess[str]"]


def caller_environ() -> dict[str, str]:
    """The environment without the width that pytest-xdist tells its workers, which is not that of what we run."""
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}


@pytest.fixture
def lab_command(tmp_path: Path) -> Lab:
    """`lab_command("check", "mine", cwd=…, LAB_RIG=…)`: in `cwd` (default: a fresh folder), with that environment."""

    def run(
        *arguments: str, cwd: Path = tmp_path, safe_path: bool = False, timeout: float = LONGEST, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *(["-P"] if safe_path else []), "-m", "lab.cli", *arguments],
            cwd=cwd,
            env={**caller_environ(), "PYTHONPATH": str(ROOT), "LAB_STORE": str(tmp_path / "store"), **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    return run


@pytest.fixture
def lab_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Lab:
    """The same inside this process, for what needs no server: a second less each."""

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        for name, value in {"LAB_STORE": str(tmp_path / "store"), **environ}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        out, err = capfd.readouterr()
        assert isinstance(left.value.code, int)
        return subprocess.CompletedProcess(arguments, left.value.code, out, err)

    return run


@pytest.fixture
def lab_on_rig(lab_inside: Lab, rig: BaseRig, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The same on this session's rig, for what ends before a plan runs: another second less each."""
    monkeypatch.setattr(lab.cli.check, "open_rig", lambda *_, **__: nullcontext(rig))
    return lab_inside
