"""`lab sweep` runs the judged tests of a suite with deeper bounds, and no others."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from fix_application import Project

TESTS = """
import pytest
from shop.models import Tag

def test_of_something_else():
    raise AssertionError("reached")

@pytest.mark.django_db
def test_judged(every_cut):
    every_cut(lambda: Tag.objects.create(name="new"))

@pytest.mark.django_db
def test_ordered(every_order):
    every_order(lambda: Tag.objects.get_or_create(name="new"), lambda: Tag.objects.count(), ignore=["shop_tag"])
"""


def sweep(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "lab.cli", "sweep", *arguments]
    return subprocess.run(
        argv, cwd=project.folder, env=project.environ(), capture_output=True, text=True, check=False
    )  # fmt: skip


@pytest.mark.slow
def test_sweep_cuts_at_every_message_in_several_ways(project: Project) -> None:
    project.write("test_swept.py", TESTS)
    done = sweep(project, "test_swept.py", "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    line = next(line for line in done.stdout.splitlines() if "every_cut: 1 statement, " in line)
    assert int(line.partition("statement, ")[2].split()[0]) > 60
    assert re.search(r"every_order: 2 requests, \d+ orders with at most 3 preemptions in", done.stdout)


@pytest.mark.slow
def test_sweep_of_tests_that_judge_nothing_says_so(project: Project) -> None:
    project.write("test_plain.py", "def test_plain():\n    pass\n")
    done = sweep(project, "test_plain.py", "--workers", "0")
    assert done.returncode == 254
    assert done.stderr.endswith("no test there uses every_cut or every_order; name the files that do\n")


def test_sweep_of_nothing_says_so(project: Project) -> None:
    done = sweep(project, "nowhere.py")
    assert done.returncode == 254
    assert done.stderr == "lab: there is no nowhere.py; name test files or folders\n"
