"""Who acts while a call is held or goes without its answer: the call itself cannot."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import warnings
from types import TracebackType
from typing import IO, Final

import psutil

from lab.application import outbox
from lab.application.case import Answer
from lab.application.failure import Unfit
from lab.application.ground import Call, Case
from lab.errors import LabError
from lab.wire.journal import Event
from lab.wire.remote import RemotePort

KILL_WITHIN: Final = 60.0
"""Seconds in which a forked call must have come to the held message, or to its end."""


class Watcher:
    """Ends the silence of a connection: `patience` seconds after the tap fell silent, unless the call has ended.

    `gave_up`: the call did so by itself before that.
    """

    def __init__(self, port: RemotePort, patience: float) -> None:
        self.gave_up = True
        self._port = port
        self._patience = patience
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lab watcher", daemon=True)

    def _watch(self) -> None:
        if not self._port.wait_until(lambda: bool(self._port.acts) or self._over.is_set(), KILL_WITHIN):
            return
        if not self._port.acts:
            return
        if self._patience:
            self.gave_up = self._over.wait(self._patience)
        if not self._over.is_set():
            self._port.act("fin", self._port.acts[0].connection)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._port.nudge()
        self._thread.join()


def killed(case: Case, port: RemotePort, call: Call) -> Answer:
    """Run the call in a forked copy of this process and kill that one while the tap holds a message.

    The copy ends by itself when the message never came: the cut has not landed then. E-mails that the copy has sent are
    in this process's mailbox afterwards. Raises Unfit when the message is another process's, such as a live_server's in
    this one: to kill its client is no kill of the server.
    """
    with tempfile.TemporaryFile(buffering=0) as posted:
        answer = _killed(case, port, call, posted)
        outbox.deliver(posted)
    return answer


def _killed(case: Case, port: RemotePort, call: Call, posted: IO[bytes]) -> Answer:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads: this copy uses none of them
        pid = os.fork()
    if pid == 0:
        _serve(case, call, posted)
    over = threading.Event()

    def reap() -> None:
        os.waitpid(pid, 0)
        over.set()
        port.nudge()

    reaper = threading.Thread(target=reap, name="lab reaper", daemon=True)
    reaper.start()
    port.wait_until(lambda: bool(port.acts) or over.is_set(), KILL_WITHIN)
    own = not port.acts or _talks_from(pid, _client_port(port))
    if not over.is_set():
        os.kill(pid, signal.SIGKILL)
    reaper.join()
    if not port.acts:
        return Answer()
    port.act("fin", port.acts[0].connection)
    if not own:
        raise Unfit(
            "the process to be killed has not sent the statement: a live_server serves in the test's own process",
            "ask by a test client (Client, APIClient, AsyncClient), whose view runs in the process that asks",
        )
    return Answer(silent=True)


def _client_port(port: RemotePort) -> int:
    """The client's port of the connection that is held."""
    held = port.acts[0].connection
    accepted = (
        record
        for record in port.records
        if isinstance(record, Event) and record.event == "accept" and record.connection == held
    )
    return next((int(record.detail.rpartition(":")[2]) for record in accepted), 0)


def _talks_from(pid: int, port: int) -> bool:
    """Whether a process has a connection that begins at a port; True where the system does not tell."""
    try:
        return any(each.laddr[1:2] == (port,) for each in psutil.Process(pid).net_connections("tcp4"))
    except psutil.Error:
        return True


def _serve(case: Case, call: Call, posted: IO[bytes]) -> None:
    """In the copy: nothing of the parent's ends with it, no handler, no exit function, no open file."""
    status = 1
    try:
        outbox.write_down(posted)
        case.warm()
        case.call(call)
        status = 0
    except LabError:
        pass
    finally:
        os._exit(status)
