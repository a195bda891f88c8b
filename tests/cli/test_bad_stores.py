"""A store that is broken, older, newer or a stranger's, a full disk, no browser: each command that reads stores."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fix_cli import ROOT, Lab, caller_environ
from unit.stored import hostile_store, stored

Damage = Callable[[Path], object]


def _edit(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def broken(root: Path) -> None:
    """Every file ends in its middle."""
    folder = stored(root).path
    for path in [each for each in folder.rglob("*") if each.is_file() and each.stat().st_size]:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def older(root: Path) -> None:
    """Written before there were agreements, wall clocks, transactions and journals."""
    case = stored(root).path / "cases/0001-recovers"
    _edit(case / "verdicts.json", lambda document: document.pop("agreement"))
    for name in ("began", "xacts"):
        _edit(case / "run.json", lambda document, name=name: document.pop(name, None))  # type: ignore[misc]


def newer(root: Path) -> None:
    """Written by a lab that is not there yet."""
    folder = stored(root).path
    _edit(folder / "cases/0001-recovers/plan.json", lambda document: document.update(version=99))
    _edit(folder / "cases/0001-recovers/run.json", lambda document: document.update(new_thing=[1]))
    _edit(folder / "verdicts.json", lambda document: document.update(new_thing=[1]))


STORES: dict[str, Damage] = {"broken": broken, "older": older, "newer": newer, "hostile": hostile_store}
COMMANDS = (("report", "store"), ("diff", "store", "store"), ("judge", "store"))
# What each ends with: 0 done (what cannot be read is named), 1 a verdict differs, 254 nothing of it can be read.
STATUS = {
    ("broken", "report"): 0, ("broken", "diff"): 254, ("broken", "judge"): 254,
    ("older", "report"): 0, ("older", "diff"): 0, ("older", "judge"): 0,
    ("newer", "report"): 0, ("newer", "diff"): 0, ("newer", "judge"): 254,
    ("hostile", "report"): 0, ("hostile", "diff"): 0, ("hostile", "judge"): 0,
}  # fmt: skip


def _content(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.is_file() and "report" not in path.relative_to(root).parts]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("kind", STORES)
def test_a_bad_store_is_said_in_lines_and_stays_as_it_is(
    kind: str, command: tuple[str, ...], tmp_path: Path, lab_inside: Lab
) -> None:
    root = tmp_path / "store"
    STORES[kind](root)
    before = _content(root)
    done = lab_inside(*command)
    assert "Traceback" not in done.stderr
    assert "a bug of the lab" not in done.stderr
    assert len(done.stderr.splitlines()) <= 4
    assert done.returncode == STATUS[kind, command[0]], done.stderr
    assert _content(root) == before
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["broken", "newer"])
def test_replaying_a_bad_plan_is_one_line(kind: str, tmp_path: Path, lab_inside: Lab) -> None:
    STORES[kind](tmp_path / "store")
    (plan,) = (tmp_path / "store").glob("*/2*/cases/*/plan.json")
    done = lab_inside("replay", str(plan))
    assert (done.returncode, len(done.stderr.splitlines())) == (254, 1)


@pytest.mark.parametrize("kind", ["broken", "newer"])
def test_findings_that_cannot_be_read_are_named_when_all_are_replayed(
    kind: str, tmp_path: Path, lab_inside: Lab
) -> None:
    STORES[kind](tmp_path / "store")
    done = lab_inside("replay", "--all", "store")
    first, last = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (254, "")
    assert first.startswith("cannot be read: store/mine/2")
    assert last.startswith("lab: store: no stored finding could be read; ")


@pytest.mark.slow
@pytest.mark.chaos
def test_a_finding_that_cannot_be_read_leaves_the_replay_of_all_unknown(tmp_path: Path, lab_command: Lab) -> None:
    plan = json.loads((ROOT / "tests/regressions/published_threadlocal.recovers.json").read_text())
    plan["variant"] = {"name": "persistent_threadlocal", "engine": "backend_under_test.persistent_threadlocal"}
    cases = stored(tmp_path / "store").path / "cases"
    (cases / "0001-recovers/plan.json").write_text(json.dumps(plan))
    done = lab_command("replay", "--all", "store")
    assert (done.returncode, "1 fixed" in done.stdout) == (0, True), done
    (cases / "0002-cut-short").mkdir()
    (cases / "0002-cut-short/plan.json").write_text("{")
    done = lab_command("replay", "--all", "store")
    assert (done.returncode, "1 fixed" in done.stdout) == (2, True), done
    assert "cannot be read: store/mine/" in done.stderr


def _process(tmp_path: Path, command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=tmp_path,
        env={**caller_environ(), "PYTHONPATH": str(ROOT), "LAB": f"{sys.executable} -m lab.cli", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_a_disk_that_fills_up_ends_a_report_in_one_line_and_costs_nothing_stored(tmp_path: Path) -> None:
    stored(tmp_path / "store")
    before = _content(tmp_path / "store")
    done = _process(tmp_path, "ulimit -f 1; exec $LAB report store")  # no file may be larger than 512 or 1024 bytes
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (255, "", 1)
    assert "cannot write" in done.stderr
    assert "choose another folder with --out" in done.stderr
    assert _content(tmp_path / "store") == before
    left = [path for path in (tmp_path / "store/report").rglob("*") if path.is_file() and path.stat().st_size == 0]
    assert not left, "no half of a page stays"


@pytest.mark.slow
def test_a_report_needs_no_browser(tmp_path: Path) -> None:
    stored(tmp_path / "store")
    done = _process(tmp_path, "exec $LAB report store", PATH="", BROWSER="/nothing")
    assert (done.returncode, done.stdout) == (0, "report: store/report/index.html\n")
    assert os.path.exists(tmp_path / "store/report/index.html")
