"""The lab's side of its guardian (guardian.py): start it first, let it go last."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.errors import ServerNotReady
from lab.rig.machine import guardian, process

PIDFD = "PIDFD"
"""Stands for the number of the lab's pidfd among the arguments of a script."""


class Guardian:
    """A process that outlives the lab, told of its end: the script `path`, with `arguments` and our pidfd among them.

    It reads from a pipe whose write end only we have, and prints a line when it stands guard. `flags` are the
    interpreter's own.
    """

    def __init__(self, path: str, arguments: Sequence[str], flags: Sequence[str] = ("-P",)) -> None:
        pidfd = _own_pidfd()
        reader, self._writer = os.pipe()
        self._child = subprocess.Popen(
            [sys.executable, *flags, path, *(str(pidfd) if each == PIDFD else each for each in arguments)],
            cwd="/",
            # A lab inside a lab: our guardian must outlive us, so it must not belong to the outer lab.
            env={name: value for name, value in os.environ.items() if name != process.LAB_ID},
            stdin=reader,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[pidfd] if pidfd >= 0 else [],
        )
        for descriptor in (reader, pidfd):
            if descriptor >= 0:
                os.close(descriptor)

    @property
    def pid(self) -> int:
        """The guardian's process."""
        return self._child.pid

    def wait_armed(self, timeout: float = 10.0) -> None:
        """Wait until the guardian stands guard. Raises `ServerNotReady` when it died or needs over `timeout` seconds.

        Things may be created before: a lab that dies meanwhile leaves the end of its pipe to be found.
        """
        answer = self._child.stdout
        if answer is None or not select.select([answer], [], [], timeout)[0] or not answer.read():
            raise ServerNotReady("the lab's guardian process did not start", "run lab doctor")
        answer.close()

    def release(self, timeout: float = 10.0) -> None:
        """Let the guardian clear up and end. Idempotent."""
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1
        if self._child.stdout is not None:
            self._child.stdout.close()
        process.ended(self._child, timeout)


class ProcessGuardian(Guardian):
    """The guardian process of one lab.

    Once it is made, the end of this process, however it comes, is the end of `folders` and of all processes that live
    in them or carry `lab_id`.
    """

    def __init__(self, lab_id: str, folders: list[Path]) -> None:
        self.lab_id = lab_id
        self.folders = folders
        arguments = [lab_id, str(os.getpid()), PIDFD, *map(str, folders)]
        super().__init__(guardian.__file__, arguments, flags=("-I", "-S"))  # the standard library is all that it needs

    def release(self, timeout: float = 10.0) -> None:
        """Let the guardian clear up and end; do its work ourselves when somebody killed it. Idempotent."""
        super().release(timeout)
        if any(folder.exists() for folder in self.folders):
            guardian.sweep(self.lab_id, os.getpid(), self.folders, timeout)


def _own_pidfd() -> int:
    # Beside the pipe, because a forked copy of the lab holds the pipe open as well.
    try:
        return os.pidfd_open(os.getpid())
    except (AttributeError, OSError):
        return -1
