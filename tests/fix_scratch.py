"""Temporary files in memory, where there is room for them.

Each rig copies a thousand files of PostgreSQL's template, and removes them again. ext4 without a journal, which virtual
machines often have, looks for each inode that it hands out through all that were freed in the last minute: copying the
template took a quarter of the suite's processor time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil
import pytest

MEMORY = Path("/dev/shm")
ROOM = 3 << 30
"""Bytes that must be free, in the file system as in the machine; a run of the suite was seen to use 0.8 GB."""
PREFIX = "lt-"
"""Short, for a unix socket in a test's folder has 107 characters for its whole path."""

_made = pytest.StashKey[Path]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Make the folder, and let everything that starts from here on find it; `TMPDIR=/tmp` leaves all as it is."""
    if "TMPDIR" in os.environ or not _roomy():
        return  # an xdist worker, to which its first process has said where
    for left in MEMORY.glob(f"{PREFIX}*"):
        if not psutil.pid_exists(int(left.name.split("-")[1])):
            shutil.rmtree(left, ignore_errors=True)  # of a run that was killed
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=MEMORY))
    folder.chmod(0o1777)  # as /tmp is: the servers of a lab that root starts belong to another user
    config.stash[_made] = folder
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None  # it may have been asked for already
    config.option.basetemp = config.option.basetemp or str(folder / "p")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """What is in memory goes with the process that made it."""
    if (folder := config.stash.get(_made, None)) is not None:
        del os.environ["TMPDIR"]
        tempfile.tempdir = None
        shutil.rmtree(folder, ignore_errors=True)


def _roomy() -> bool:
    """Whether the file system is there, takes programs, and has room, as the machine has."""
    try:
        there = os.statvfs(MEMORY)
    except OSError:
        return False
    runs = not there.f_flag & os.ST_NOEXEC
    room = min(there.f_bavail * there.f_frsize, psutil.virtual_memory().available)
    return runs and os.access(MEMORY, os.W_OK) and room >= ROOM
