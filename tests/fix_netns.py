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

import pytest

from lab.errors import LabError
from lab.rig import rigs
from lab.rig.capabilities import VARIABLE
from lab.rig.toxiproxy import binary

ROOT = Path(__file__).resolve().parents[1]
AS_USER = Path(__file__).with_name("as_user.py")
DEADLINE = 300.0
UNPRIVILEGED = pwd.getpwnam("daemon").pw_uid
"""Neither root nor the `nobody` as whom root's PostgreSQL runs, and in the table of users, where initdb looks."""


def pytest_configure(config: pytest.Config) -> None:
    """Before the first test module, and the first thread of anybody's, is there."""
    if os.environ.get(VARIABLE) == "netns":
        try:
            rigs.prepare()
        except LabError as refusal:
            raise pytest.UsageError(f"{refusal} (not under xdist)") from None


class Inside:
    """Runs Python programs as one user, with a home of its own and the cached Toxiproxy."""

    def __init__(self, user: str, home: Path) -> None:
        self.user = user
        self.home = home
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), *filter(None, sys.path)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            binary.PATH_VARIABLE: str(home / "toxiproxy-server"),
        }
        shutil.copy(binary.ensure_toxiproxy().path, home / "toxiproxy-server")
        if user == "ordinary user" and os.geteuid() == 0:
            self._change_user()

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments to its end."""
        return subprocess.run(
            [*self._as_user, sys.executable, *arguments],
            cwd=ROOT,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    def start(self, program: str) -> subprocess.Popen[str]:
        """Start a program whose output is to be read."""
        return subprocess.Popen(
            [*self._as_user, sys.executable, "-c", program],
            cwd=ROOT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def pytest(self, *arguments: str) -> str:
        """Run tests in a namespace; what pytest said, when all of them passed."""
        options = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
        done = self.run(*options, *arguments, LAB_RIG="netns")
        assert done.returncode == 0, f"as {self.user}:\n{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    @property
    def _as_user(self) -> list[str]:
        if self.user == "root" or os.geteuid() != 0:
            return []
        folders = (ROOT, sys.prefix, sys.base_prefix, Path(sys.executable).resolve().parent, self.home.parent)
        return [sys.executable, str(AS_USER), str(UNPRIVILEGED), *map(str, folders), "--"]

    def _change_user(self) -> None:
        for path in (self.home, *self.home.rglob("*")):
            os.chown(path, UNPRIVILEGED, UNPRIVILEGED)
        tried = self.run("-c", "import psycopg, lab.errors")
        if tried.returncode:
            pytest.skip(f"an ordinary user cannot run {sys.executable} here: {_last_line(tried.stderr)}")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


@pytest.fixture(scope="module", params=["root", "ordinary user"])
def inside(request: pytest.FixtureRequest) -> Iterator[Inside]:
    """The two kinds of users; skipped with the reason where this machine, or we, cannot be one."""
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip(f"we are {pwd.getpwuid(os.geteuid()).pw_name}, not root")
    # Not below tmp_path: each pytest of root's shuts that for all others.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        made = Inside(request.param, Path(home))
        tried = made.run("-c", "from lab.rig.netns import probe; print(probe.probe())")
        if tried.returncode:
            pytest.skip(f"no namespace as {request.param}: {_last_line(tried.stderr)}")
        yield made
