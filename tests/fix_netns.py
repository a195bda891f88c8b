"""Tests inside a namespace: with LAB_RIG=netns pytest itself moves into one; `inside` runs such a pytest."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.rig import choose, toxiproxy_binary

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 300.0
UNPRIVILEGED = pwd.getpwnam("daemon").pw_uid
"""Neither root nor the `nobody` as whom root's PostgreSQL runs, and in the table of users, where initdb looks."""


def pytest_configure(config: pytest.Config) -> None:
    """Before the first test module, and the first thread of anybody's, is there."""
    if os.environ.get(choose.VARIABLE) == "netns":
        try:
            choose.prepare()
        except LabError as refusal:
            raise pytest.UsageError(f"{refusal} (not under xdist)") from None


class Inside:
    """Runs Python programs as one user, with a home of its own and the cached Toxiproxy."""

    def __init__(self, user: str, home: Path) -> None:
        self.user = user
        self.home = home
        self.python = sys.executable
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), *filter(None, sys.path)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            toxiproxy_binary.PATH_VARIABLE: str(home / "toxiproxy-server"),
        }
        shutil.copy(toxiproxy_binary.ensure_toxiproxy().path, home / "toxiproxy-server")
        if user == "ordinary user" and os.geteuid() == 0:
            self._change_user()

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments to its end."""
        return subprocess.run(
            [self.python, *arguments],
            cwd=ROOT,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
            **self._identity,
        )

    def start(self, program: str) -> subprocess.Popen[str]:
        """Start a program whose output is to be read."""
        child: subprocess.Popen[str] = subprocess.Popen(
            [self.python, "-c", program],
            cwd=ROOT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **self._identity,
        )
        return child

    def pytest(self, *arguments: str) -> str:
        """Run tests in a namespace; what pytest said, when all of them passed."""
        options = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
        done = self.run(*options, *arguments, LAB_RIG="netns")
        assert done.returncode == 0, f"as {self.user}:\n{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    @property
    def _identity(self) -> dict[str, Any]:
        if self.user == "root" or os.geteuid() != 0:
            return {}
        return {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []}

    def _change_user(self) -> None:
        for path in (self.home, *self.home.rglob("*")):
            os.chown(path, UNPRIVILEGED, UNPRIVILEGED)
        for python in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
            self.python = python
            try:
                if self.run("-c", "import psycopg, lab.errors").returncode == 0:
                    return
            except OSError:
                continue
        pytest.skip(f"an ordinary user can run neither {sys.executable} nor another Python {sys.version_info[:2]}")


@pytest.fixture(params=["root", "ordinary user"])
def inside(request: pytest.FixtureRequest) -> Iterator[Inside]:
    """The two kinds of users; skipped with the reason where this machine, or we, cannot be one."""
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip(f"we are {pwd.getpwuid(os.geteuid()).pw_name}, not root")
    # Not below tmp_path: each pytest of root's shuts that for all others.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        made = Inside(request.param, Path(home))
        tried = made.run("-c", "from lab.rig import netns; print(netns.probe())")
        if tried.returncode:
            pytest.skip(f"no namespace as {request.param}: {tried.stderr.strip().splitlines()[-1]}")
        yield made
