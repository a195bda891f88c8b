from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fix_application import WITHOUT

ZOO = Path(__file__).resolve().parents[1] / "zoo"
ROOT = ZOO.parents[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Another project, in which only the plugin is known."""
    (tmp_path / "test_own.py").write_text("def test_own(lab_seed):\n    assert lab_seed == 5\n")
    return tmp_path


def run_pytest(project: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "lab.pytest_plugin", *WITHOUT, *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LAB_STORE": str(project / "store"), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_header_shows_the_seed_and_tests_get_it(project: Path) -> None:
    done = run_pytest(project, "--lab-seed=5")
    assert "--lab-seed=5" in done.stdout
    assert "1 passed" in done.stdout


def test_engine_brings_its_tests_along(project: Path) -> None:
    done = run_pytest(project, "--collect-only", "-q", "-m", "chaos", "--lab-engine", "my.backend")
    assert "my.backend::recovers" in done.stdout
    assert "my.backend::random" in done.stdout
    assert "test_own" not in done.stdout


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--lab-engine", "nonsense"], "neither a bundled variant nor a dotted ENGINE"),
        (["--lab-engine", "my.backend", "--lab-setting", "A"], "that is not KEY=JSON"),
        (["--lab-engine", "my.backend", "--lab-profile", "weekly"], "there is no profile 'weekly'"),
        (["--lab-engine", "my.backend", "--lab-report", "pdf"], "there is no such report"),
        (["--lab-engine", "my.backend", "--lab-promise", "health"], "there is no promise 'health'"),
    ],
)
def test_bad_flags_end_the_run_with_one_line(project: Path, flags: list[str], line: str) -> None:
    done = run_pytest(project, *flags)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert line in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_run_ends_at_once_without_a_rig(project: Path) -> None:
    (project / "test_own.py").write_text("def test_one(lab_rig): ...\ndef test_two(lab_rig): ...\n")
    done = run_pytest(project, LAB_PG_BINDIR="/nowhere")
    assert done.returncode == 255
    assert "the lab has no rig: " in done.stdout
    assert "test_two" not in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.chaos
def test_broken_claim_fails_with_the_command_that_replays_it(project: Path) -> None:
    flags = ["--lab-engine", "shares_global", "--lab-path", str(ZOO), "--lab-promise", "isolated-threads"]
    done = run_pytest(
        project, "-m", "chaos", *flags, "-k", "isolated", "--lab-budget", "1", "--lab-report", "junit,html"
    )
    assert "shares_global breaks isolated-threads: Two requests" in done.stdout
    assert f"lab replay {project / 'store'}" in done.stdout
    assert "1 failed, 2 deselected" in done.stdout
    assert "<failure" in (project / "store/report/junit.xml").read_text()
    assert (project / "store/report/index.html").is_file()


def test_old_names_work_and_warn(project: Path) -> None:
    done = run_pytest(project, "--collect-only", "-q", "-m", "chaos", "--engine", "my.backend")
    assert "my.backend::recovers" in done.stdout
    assert "--engine is called --lab-engine now" in done.stdout


UNSEEN = """
from lab.pytest_plugin.session import Lab
from lab.records.result import PromiseResult, Result, VariantInfo
from lab.records.verdict import Verdict


def result(self, variant):
    unseen = PromiseResult(
        verdict=Verdict.UNKNOWN, claimed=True, summary="mid-query: void", moments={"mid-query": Verdict.UNKNOWN}
    )
    info = VariantInfo(name="blind", engine="blind", driver="psycopg2")
    numbers = dict(seed=0, seconds=0.0, cases=1, void=1)
    return Result(verdict=Verdict.UNKNOWN, variant=info, versions={}, promises={"recovers": unseen}, **numbers)


Lab.result = result
"""


def test_a_promise_that_was_not_seen_fails_unless_it_is_allowed(project: Path) -> None:
    (project / "conftest.py").write_text(UNSEEN)
    flags = ["--lab-engine", "my.backend", "--lab-promise", "recovers", "-k", "recovers", "-m", "chaos"]
    done = run_pytest(project, *flags)
    assert "it was not seen whether recovers is kept" in done.stdout
    assert "--lab-allow-unknown recovers" in done.stdout
    assert "1 failed" in done.stdout
    allowed = run_pytest(project, *flags, "--lab-allow-unknown", "recovers")
    assert "1 skipped" in allowed.stdout
    assert allowed.returncode == 0


@pytest.mark.chaos
def test_a_search_in_which_no_fault_landed_does_not_pass(project: Path) -> None:
    flags = ["--lab-engine", "django_per_request", "--lab-promise", "own-answers", "-k", "random", "-m", "chaos"]
    read_only = 'options="-c default_transaction_read_only=on"'  # what writes nothing is not cut first, for ten seconds
    done = run_pytest(project, *flags, "--lab-budget", "0", "--lab-option", read_only)
    assert "no fault has landed" in done.stdout
    assert "1 failed" in done.stdout
