"""Ends whatever a lab leaves behind, however the lab ended. Runs as a script, in a session of its own.

    python -I -S guardian.py LAB_ID LAB_PID PIDFD FOLDER...

It is started before anything that it guards exists and told the names first. It holds the read end of a pipe whose
write end only the lab has (its stdin) and a pidfd of the lab: when either says that the lab is over, it kills every
process that belongs to the lab, removes the folders and ends. A normal close takes the same way.

A process belongs to the lab when its working directory is inside one of the folders (PostgreSQL overwrites its
environment, so that it cannot be asked there) or its environment has LAB_ID=<id>.

This file imports nothing but the standard library: it must be quick to start and must not break with the lab.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

INTERVAL = 0.02
PATIENCE = 30.0
"""Seconds after which the guardian gives up: only a process stuck in the kernel survives SIGKILL that long."""

IPC_RMID = 0
REMOVED = " (deleted)"
"""What the kernel writes behind the name of a folder that has been removed."""
SHARED_MEMORY_LINE = 6
SYSV_SEGMENTS = Path("/proc/sysvipc/shm")


def main(arguments: list[str]) -> None:
    """Wait for the end of the lab, then sweep."""
    lab_id, lab_pid, pidfd, *folders = arguments
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(name, signal.SIG_IGN)
    with suppress(OSError):  # a lab that is dead already hears nothing, and needs us all the more
        os.write(1, b"armed\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _wait_for_end([0, int(pidfd)] if int(pidfd) >= 0 else [0])
    sweep(lab_id, int(lab_pid), [Path(folder) for folder in folders])


def sweep(lab_id: str, lab_pid: int, folders: list[Path], patience: float = PATIENCE) -> bool:
    """Kill what belongs to the lab and remove its folders, again and again until nothing is left (True).

    Repeated, because a process may fork, or make a file, between our look and our blow. False after `patience` seconds.
    """
    spared = {os.getpid(), lab_pid}
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if _kill(lab_id, folders, spared):
            time.sleep(INTERVAL)
            continue
        for folder in folders:
            _remove_shared_memory(folder)
            shutil.rmtree(folder, ignore_errors=True)
        if not any(folder.exists() for folder in folders) and not _kill(lab_id, folders, spared):
            return True
    return False


def _wait_for_end(descriptors: list[int]) -> None:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    poll.poll()


def _kill(lab_id: str, folders: list[Path], spared: set[int]) -> int:
    """Send SIGKILL to every process of the lab; return how many there were."""
    found = 0
    for pid in _members(lab_id, folders):
        if pid in spared:
            continue
        found += 1
        with suppress(OSError):
            pidfd = os.pidfd_open(pid)
            try:
                if _belongs(pid, lab_id, folders):  # the pid still is this process, and the descriptor holds it
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            finally:
                os.close(pidfd)
    return found


def _members(lab_id: str, folders: list[Path]) -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdecimal() and _belongs(int(name), lab_id, folders):
            yield int(name)


def _belongs(pid: int, lab_id: str, folders: list[Path]) -> bool:
    """False also for what is another user's, a zombie, or gone."""
    with suppress(OSError):
        place = os.readlink(f"/proc/{pid}/cwd").removesuffix(REMOVED)
        if f"{place}{os.sep}".startswith(tuple(f"{folder}{os.sep}" for folder in folders)):
            return True
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        return f"LAB_ID={lab_id}".encode() in file.read().split(b"\0")
    return False


def _remove_shared_memory(folder: Path) -> None:
    """Remove the System V segment that a killed PostgreSQL leaves: it belongs to no process and no folder."""
    for pid_file in folder.glob("*/postmaster.pid"):
        with suppress(OSError, IndexError, ValueError):  # the server had not come that far
            key, segment = pid_file.read_text(encoding="ascii").splitlines()[SHARED_MEMORY_LINE].split()
            if _segment_exists(int(key), int(segment)):
                ctypes.CDLL(None).shmctl(int(segment), IPC_RMID, None)


def _segment_exists(key: int, segment: int) -> bool:
    # Both numbers, so that a segment of somebody else under a reused id is left alone.
    rows = [row.split() for row in SYSV_SEGMENTS.read_text(encoding="ascii").splitlines()[1:]]
    return any(int(row[0]) & 0xFFFFFFFF == key & 0xFFFFFFFF and int(row[1]) == segment for row in rows)


if __name__ == "__main__":
    main(sys.argv[1:])
