"""What is needed to watch a lab that dies; the running rig is the plugin's `rig`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
GONE_WITHIN = 5.0
"""Seconds in which nothing of a killed lab may be left."""


class LabProcess:
    """Another process that runs a lab and says, a line each, how far it has come."""

    def __init__(self, program: str) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lab_id = self.heard("lab")
        self.folder = Path(self.heard("folder"))

    def heard(self, name: str) -> str:
        """The value of its next line `name=value`."""
        return self.heard_any(name)[1]

    def heard_any(self, *names: str) -> tuple[str, str]:
        """The next line `name=value`, whose name is one of these, and its value."""
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        found, _, value = line.strip().partition("=")
        if found not in names:
            self.child.kill()
            pytest.fail(f"the lab said {line!r}, not {'= or '.join(names)}=: {self.child.communicate()[1]}")
        return found, value

    def kill(self) -> None:
        """SIGKILL, as nothing can prepare for."""
        self.child.send_signal(signal.SIGKILL)
        self.child.communicate()

    def processes(self) -> list[psutil.Process]:
        """What belongs to it now, its guardian included."""
        return [each for each in psutil.process_iter() if self._owns(each)]

    def seconds_to_vanish(self) -> float:
        """Seconds until neither a process nor the folder is left; fails after GONE_WITHIN."""
        start = time.monotonic()
        while self.folder.exists() or self.processes():
            if time.monotonic() - start > GONE_WITHIN:
                pytest.fail(f"left behind: {self.processes()}, folder: {self.folder.exists()}")
            time.sleep(0.02)
        return time.monotonic() - start

    def _owns(self, process: psutil.Process) -> bool:
        try:
            if process.pid in (os.getpid(), self.child.pid) or process.status() == psutil.STATUS_ZOMBIE:
                return False
            inside = f"{process.cwd()}/".startswith(f"{self.folder}/")
            return inside or process.environ().get("LAB_ID") == self.lab_id or self.lab_id in process.cmdline()
        except (psutil.Error, OSError):
            return False


@pytest.fixture
def lab_process() -> Iterator[Callable[[str], LabProcess]]:
    """Start labs in processes of their own; those left at the end are killed."""
    started: list[LabProcess] = []

    def start(program: str) -> LabProcess:
        started.append(LabProcess(program))
        return started[-1]

    yield start
    for one in started:
        if one.child.poll() is None:
            one.kill()
