"""The subject's clocks when time is put forward: all of them, also beside other tools that change clocks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

INSIDE = Path(__file__).parents[2] / "lab" / "subject" / "inside"
PROGRAM = """
import datetime, json, sys, threading, time
from connection_lab_inside import clock

{before}
clock.install()
real = datetime.datetime.now
looks = dict(
    time=time.time, time_ns=lambda: time.time_ns() / 1e9, monotonic=time.monotonic,
    perf_counter=time.perf_counter, datetime=lambda: real().timestamp(),
)
began = {{name: look() for name, look in looks.items()}}
watch = time.clock_gettime(time.CLOCK_MONOTONIC)
clock.forward(60)
clock.forward(600)
threading.Event().wait(0.6)
passed = {{name: look() - began[name] for name, look in looks.items()}}
truly = time.clock_gettime(time.CLOCK_MONOTONIC) - watch
print(json.dumps([passed, truly, "pytest" in sys.modules]))
"""
OLD_TIME_MACHINE = "def original_monotonic(): ...\n"


def forward(before: str = "", *path: Path) -> dict[str, float]:
    """Seconds that were put forward for each clock, without those that have passed."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, INSIDE]))}
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before)], env=environ, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    passed, truly, pytest_is_there = json.loads(said.stdout)
    assert not pytest_is_there  # projects take it for a run of their tests
    return {name: seconds - truly for name, seconds in passed.items()}


def test_every_clock_is_later_by_the_sum_and_none_loses_what_passes_unseen() -> None:
    assert forward() == {
        name: pytest.approx(660, abs=0.3) for name in ("time", "time_ns", "monotonic", "perf_counter", "datetime")
    }


def test_a_time_machine_that_would_replace_monotonic_is_left_alone(tmp_path: Path) -> None:
    """2.13 to 2.19 take `time.monotonic` for a function in C: with a clock of the lab's there, the process dies."""
    (tmp_path / "_time_machine.py").write_text(OLD_TIME_MACHINE)
    found = forward("", tmp_path)
    assert found.pop("datetime") == pytest.approx(0, abs=0.3)
    assert found == {name: pytest.approx(660, abs=0.3) for name in ("time", "time_ns", "monotonic", "perf_counter")}


def test_dates_that_a_project_has_frozen_stay_so() -> None:
    """time-machine refuses to start then; the thread that reads the lab's messages must not end by that."""
    frozen = "import freezegun\nfreezegun.freeze_time('2026-01-01').start()"
    assert forward(frozen)["datetime"] <= 0
