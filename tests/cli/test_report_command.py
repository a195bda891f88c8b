"""`lab report` as a person runs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fix_cli import ROOT, Lab
from unit.stored import stored

REGRESSION = ROOT / "tests/regressions/published_threadlocal.recovers.json"


@pytest.mark.slow
def test_replay_leaves_a_page_and_report_draws_it_again(tmp_path: Path, lab_command: Lab) -> None:
    done = lab_command("replay", str(REGRESSION))
    assert done.stderr.splitlines()[-1] == "report: store/report/index.html"
    pages = [path.name for path in (tmp_path / "store/report/published_threadlocal/replays").iterdir()]
    assert len(pages) == 2
    (plan,) = (tmp_path / "store/published_threadlocal/replays/cases").glob("*/plan.json")
    lone = lab_command("report", str(plan), "--out", "lone")
    assert (lone.returncode, lone.stdout) == (0, "report: lone/index.html\n")
    assert "lab replay store/published_threadlocal" in (tmp_path / "lone/index.html").read_text()
    again = lab_command("report", "store")
    assert (again.returncode, again.stdout) == (0, "report: store/report/index.html\n")


@pytest.mark.slow
def test_check_ends_with_its_report_unless_none_is_wanted(tmp_path: Path, lab_command: Lab) -> None:
    arguments = ("check", "published_threadlocal", "--promise", "recovers", "--budget", "0.5")
    done = lab_command(*arguments, "--report", "none")
    assert "report:" not in done.stderr
    assert not (tmp_path / "store/report").exists()
    done = lab_command(*arguments)
    assert done.stderr.splitlines()[-1] == "report: store/report/index.html"
    assert "recovers" in (tmp_path / "store/report/index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "is no store: there is no such folder"),
        (["."], "is no store: it holds no check"),
        ([str(REGRESSION)], "no run is stored beside this plan"),
        ([".", "--out", "file"], "--out file is no folder"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(tmp_path: Path, lab_inside: Lab, arguments: list[str], said: str) -> None:
    (tmp_path / "file").write_text("")
    done = lab_inside("report", *arguments)
    assert (done.returncode, done.stdout) == (254, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_unknown_report_is_said_before_anything_starts(lab_inside: Lab) -> None:
    done = lab_inside("check", "django_persistent", "--report", "pdf")
    assert (done.returncode, len(done.stderr.splitlines())) == (254, 1)
    assert "there is no such report" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no device that is always full")
def test_report_that_cannot_be_written_costs_no_verdict(tmp_path: Path, lab_command: Lab) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/report").write_text("in the way")
    done = lab_command("replay", str(REGRESSION))
    assert done.returncode == 1
    assert "no report: cannot write" in done.stderr.splitlines()[-1]


def test_report_that_finds_no_room_says_where_else_it_may_go(tmp_path: Path, lab_inside: Lab) -> None:
    stored(tmp_path / "store")
    (tmp_path / "file").write_text("")
    done = lab_inside("report", "store", "--out", "file/below")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (255, "", 1)
    assert "choose another folder with --out" in done.stderr
