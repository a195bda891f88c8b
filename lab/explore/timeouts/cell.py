"""One cell of the timeout table: a client in one situation, one kind of silence, and a watch."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from msgspec import Struct

from lab.errors import LabError
from lab.fault import Fault, Seen, Sighting, build
from lab.records.plan import FaultSpec
from lab.rig.protocol import RigProtocol
from lab.rig.site.site import PlanSite, open_site
from lab.subject.handle import Child, ChildEnded, Zygote
from lab.timing import DELAYED_ACK, LAND, READY, SOCKET_LOOK

Situation = Literal["connects", "sends", "waits", "idle"]

TEXT = 120
"""Characters of an error's text that are kept."""


class Cell(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was seen: `seconds` until the client noticed (None: not within the horizon), and `by` what.

    `void` says why nothing was measured, "" when it was. `error` is what the application got.
    """

    settings: str
    loss: str
    situation: Situation
    seconds: float | None = None
    by: str = ""
    error: str = ""
    void: str = ""


def measure(
    rig: RigProtocol, zygote: Zygote, settings: str, fault: FaultSpec, situation: Situation, horizon: float
) -> Cell:
    """Measure one cell in at most `horizon` seconds beyond its preparation. Never raises for what the variant does."""
    cell = Cell(settings=settings, loss=fault.kind, situation=situation)
    try:
        with rig.shared(), open_site(rig, uuid.uuid4().hex[:12], ("default",)) as site:
            child = zygote.fork(site.environ, site.databases)
            site.adopt(child)
            try:
                seconds, error = _Watch(site, child, build(fault), horizon).watch(situation)
            finally:
                child.kill()
            site.clear()
    except (LabError, ChildEnded, _Unready) as lost:
        return _replace(cell, void=" ".join(str(lost).split()))
    if seconds is None:
        return cell
    return _replace(cell, seconds=round(seconds, 2), by=_by(situation, error), error=error)


class _Unready(Exception):
    """The situation could not be brought about, or the fault was not seen."""


class _Watch:
    """A subject, brought into a situation and watched."""

    def __init__(self, site: PlanSite, child: Child, fault: Fault, horizon: float) -> None:
        self._site = site
        self._child = child
        self._fault = fault
        self._horizon = horizon
        self._step = 0

    def watch(self, situation: Situation) -> tuple[float | None, str]:
        """Seconds until it was noticed, None for not within the horizon, and the error's text."""
        self._do("begin")
        if situation != "connects":
            self._do("read", nonce="before")
            time.sleep(DELAYED_ACK.seconds)
        if situation == "waits":
            self._send("sql", text=f"SELECT pg_sleep({self._horizon + 60})")
            self._await_active()
            time.sleep(DELAYED_ACK.seconds)
        self._fault.prepare(self._site)
        with self._struck() as struck:
            if situation == "idle":
                return self._watch_socket(struck)
            begun = struck if situation == "waits" else time.monotonic()
            if situation != "waits":
                self._send("read", nonce="after")
            answer = self._answer(begun + self._horizon - time.monotonic())
            return (None, "") if answer is None else (time.monotonic() - begun, _text(answer))

    @contextmanager
    def _struck(self) -> Iterator[float]:
        """The fault, seen to land; yields when it was applied."""
        begun = time.monotonic()
        with self._fault.strike(self._site) as seen:
            _sight(seen)
            yield begun

    def _watch_socket(self, begun: float) -> tuple[float | None, str]:
        """An idle client notices when its kernel gives the socket up, or when the variant closes it by itself."""
        while time.monotonic() - begun < self._horizon:
            if not any(socket.state == "ESTABLISHED" for socket in self._site.sockets()):
                return time.monotonic() - begun, ""
            time.sleep(SOCKET_LOOK)
        return None, ""

    def _await_active(self) -> None:
        until = time.monotonic() + READY.seconds
        while not any(session.state == "active" for session in self._site.sessions()):
            if time.monotonic() > until:
                raise _Unready("the query did not reach the server")
            time.sleep(0.01)

    def _send(self, do: str, **fields: Any) -> None:
        self._step += 1
        self._child.send({"do": do, "id": self._step, "actor": "t0", "alias": "default", **fields})

    def _answer(self, timeout: float) -> dict[str, Any] | None:
        return self._child.receive(timeout)

    def _do(self, do: str, **fields: Any) -> None:
        self._send(do, **fields)
        answer = self._answer(READY.seconds)
        if answer is None or answer["ending"] != "ok":
            raise _Unready(f"{do} failed before the fault: {_text(answer) if answer else 'no answer'}")


def _sight(seen: Seen) -> None:
    until = time.monotonic() + LAND.seconds
    while not isinstance(seen(), Sighting):
        if time.monotonic() > until:
            raise _Unready("the fault was not seen to land")
        time.sleep(0.005)


def _text(answer: dict[str, Any]) -> str:
    """The first exception, as far as a person wants to read it; "" for a success."""
    if not answer.get("chain"):
        return ""
    link = answer["chain"][0]
    state = f" {link['sqlstate']}" if link.get("sqlstate") else ""
    return f"{link['cls'].rpartition('.')[2]}{state}: {' '.join(link['text'].split())[:TEXT]}"


SIGNS = (
    ("statement timeout", "statement_timeout"),
    ("couldn't get a connection", "pool timeout"),
    ("pooltimeout", "pool timeout"),
    ("timeout expired", "connect_timeout"),
)
"""How drivers, pools and the server word what their own timeouts did."""

KERNEL = ("connection timed out", "could not receive data from server", "server closed the connection unexpectedly")
"""How the drivers word that the kernel has given the socket up."""


def _by(situation: Situation, error: str) -> str:
    """Which setting it was, by what the application was told."""
    if situation == "idle":
        return "keepalives"
    if not error:
        return "answered"
    low = error.lower()
    for sign, name in SIGNS:
        if sign in low:
            return name
    if any(sign in low for sign in KERNEL):
        return "keepalives" if situation == "waits" else "tcp_user_timeout"
    return "the client itself"


def _replace(cell: Cell, **changes: Any) -> Cell:
    fields = {name: getattr(cell, name) for name in cell.__struct_fields__}
    return Cell(**{**fields, **changes})
