"""What the kernel says of the subject's processes."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from lab.fault import Socket, Subject
from lab.rig.machine import tcp


class ClientView:
    """The subject's process and those that it forks, once there is one."""

    def __init__(self) -> None:
        self._child: Subject | None = None
        self._clients: dict[int, tcp.Clients] = {}
        self._connected: dict[int, bytes] = {}

    def adopt(self, child: Subject) -> None:
        """The subject's process runs now."""
        self._child = child

    @property
    def subject(self) -> Subject:
        """The subject's process."""
        if self._child is None:
            raise RuntimeError("the subject has not been forked yet")
        return self._child

    def processor_ticks(self) -> int:
        """Clock ticks that the subject's processes have used so far: a step that waits uses none."""
        ticks = 0
        for pid in self.subject.pids:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks

    def runnable(self) -> bool:
        """Whether a thread of the subject's runs, or would if the machine let it (state R), or waits for a disk (D)."""
        for pid in self.subject.pids:
            for path in Path(f"/proc/{pid}/task").glob("*/stat"):
                with suppress(OSError):
                    if path.read_text(encoding="ascii").rpartition(")")[2].split()[0] in ("R", "D"):
                        return True
        return False

    def open_files(self) -> int:
        """How many more files the subject's processes have open than when they were forked: at least its connections.

        A look at a folder, where the kernel's table of connections takes ten times as long.
        """
        number = 0
        for pid in self.subject.pids:
            with suppress(OSError):
                number += len(os.listdir(f"/proc/{pid}/fd")) - self.subject.files
        return number

    def connected(self, process: str, ports: Collection[int]) -> frozenset[int]:
        """The inodes of one process's sockets that are connected to these ports: a forked child inherits them."""
        pid = self.subject.processes.get(process)
        found = {} if pid is None else tcp.connected(pid, ports)
        self._connected |= found
        return frozenset(found)

    def still_open(self, process: str, inodes: Collection[int]) -> frozenset[int]:
        """Those of these sockets that the process has not closed since."""
        pid = self.subject.processes.get(process)
        return frozenset() if pid is None else frozenset(inodes) & tcp.descriptors(pid).keys()

    def talk(self, inodes: Collection[int]) -> dict[int, tcp.Talk]:
        """What has been said on these sockets, which were `connected`, by whichever of the processes that share them.

        Each is looked up by itself: a look at the whole table takes the kernel a millisecond.
        """
        return tcp.talk({inode: self._connected[inode] for inode in inodes})

    def sockets(self, port: int, among: Collection[int] | None = None, *, shared: bool = False) -> tuple[Socket, ...]:
        """The subject's sockets to that port, from the kernel's table in the subject's network namespace.

        `among`: only those with these ports of their own, which an earlier look at all has shown. `shared`: others are
        connected to that port as well, so only those that the subject's processes have open are known to be its own.
        """
        clients = self._of(port)
        if among is not None:
            return clients.among(among)
        return clients.held_by(self.subject.pids) if shared else clients.all()

    def established(self, port: int, *, shared: bool = False) -> set[int]:
        """The ports of the subject's own of those to that port that neither side has ended.

        The processes are asked for what they have open; the kernel's whole table is looked at where they have nothing.
        """
        held = self._of(port).held_by(self.subject.pids)
        found = held if held or shared else self._of(port).all()
        return {each.port for each in found if each.state == "ESTABLISHED"}

    def _of(self, port: int) -> tcp.Clients:
        return self._clients.setdefault(port, tcp.Clients(self.subject.pid, port))
