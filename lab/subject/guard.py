"""The lab's end of the guard: tells a subject's warden what may be reached, hears what was refused."""

from __future__ import annotations

import json
import re
import select
import socket
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab.errors import AddressRefused

LONGEST_MESSAGE = 1 << 16
FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
LIBRARIES = re.compile(
    r"/lib(64)?/python3[^/]*/(?!(site|dist)-packages/)|/(django|psycopg\w*|requests|urllib3|httpx|httpcore|botocore)/"
    r"|/subject/(inside/|warden\.py)|^<frozen"
)
"""Files that connect because others ask them to."""

PLACEHOLDER = "127.0.0.1:1"
"""What a project's DATABASES name until a plan has a server (lab/subject/warden.py)."""
EARLY = "its database was asked for while it loaded, before there is a server: refused, as one that is down"

Place = tuple[str, int]


class Guard:
    """One subject's. Threads of the lab share it."""

    def __init__(self) -> None:
        self.control, self._theirs_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._tells, self._theirs_tells = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._refusal: dict[str, Any] | None = None
        self._notes: list[str] = []
        self._facilities: dict[str, str] = {}
        self._asked: dict[str, str] = {}
        self.name = ""
        self.loading = True
        self.failed = ""
        self.not_held = ""
        """Why the kernel does not hold this subject, "" when it does."""

    @property
    def theirs(self) -> tuple[socket.socket, socket.socket]:
        """What the warden gets (control), and what the subject's processes get (to tell)."""
        return self._theirs_control, self._theirs_tells

    @property
    def files(self) -> tuple[socket.socket, socket.socket]:
        """What becomes readable when there is something to hear."""
        return self.control, self._tells

    def given(self) -> None:
        """The other ends have been inherited."""
        self._theirs_control.close()
        self._theirs_tells.close()

    def allow(self, places: Iterable[Place]) -> None:
        """The subject may connect there, too."""
        self._say(allow=list(places))

    def forbid(self, places: Iterable[Place]) -> None:
        """No longer."""
        self._say(forbid=list(places))

    def check(self) -> None:
        """Raise AddressRefused when the subject has wanted a server that is not the lab's."""
        with self._lock:
            for file in (self._tells, self.control):
                self._hear(file)
            refusal = self._refusal
        if refusal is not None:
            raise refused(refusal, self.name, loading=self.loading)

    def started(self, deadline: float) -> None:
        """Wait until the warden says whether the interpreter runs and the kernel holds it."""
        if select.select([self.control], [], [], deadline)[0]:
            with self._lock:
                self._hear(self.control)

    def notes(self) -> list[str]:
        """What was refused without ending the check, and who wanted it where that is the project's own code."""
        found, libraries = list(dict.fromkeys(self._notes)), []
        for path, what in self._facilities.items():
            if path in self._asked:
                where = _application(self._asked[path]) or "Python's own library"
                found.append(f"a connection to {path} ({what}) was refused: {where} wanted it, it is not the lab's")
            else:
                libraries.append(f"{path} ({what})")
        if libraries:
            what = ", ".join(libraries)
            found.append(f"a library in C, and not the project's own code, asked for {what}: refused")
        return found

    def close(self) -> None:
        """The warden ends its subject."""
        self.given()
        self.control.close()
        self._tells.close()

    def _say(self, **message: Any) -> None:
        with self._lock:
            try:
                self.control.send(json.dumps(message).encode())
            except OSError:
                pass  # the subject has gone: whoever needs it is told so there

    def _hear(self, file: socket.socket) -> None:
        try:
            while select.select([file], [], [], 0)[0] and (data := file.recv(LONGEST_MESSAGE)):
                self._take(json.loads(data))
        except (OSError, ValueError):
            return  # it has been closed

    def _take(self, message: dict[str, Any]) -> None:
        if "held" in message:
            self.not_held = message["held"]
        elif "failed" in message:
            self.failed = message["failed"]
        elif "asked" in message:
            self._asked[message["asked"]] = message["stack"]
        elif message["fatal"]:
            self._refusal = self._refusal or message
        elif message.get("facility"):
            self._facilities[message["wanted"]] = message["facility"]
        else:
            own = message["wanted"] == PLACEHOLDER
            self._notes.append(
                EARLY if own else f"a connection to {message['wanted']} was refused: it is not the lab's"
            )


def refused(message: dict[str, Any], name: str, *, loading: bool) -> AddressRefused:
    """What is said of a refusal: which address was wanted by what, where in its code."""
    where = _application(message["stack"]) or message.get("engine", "")
    program = f"{message['program']}, started by " if message["program"] else ""
    what = {"dns": "a name server, ", "name": "the name "}.get(message["kind"], "") + message["wanted"]
    if message["wanted"] == PLACEHOLDER:
        what += " (where its DATABASES led while it loaded)"
    when = " while it loads" if loading else ""
    remedy = (
        "make it load without that server, e.g. by an environment variable"
        if loading
        else "let it take host and port from DATABASES, where the lab puts its own"
    )
    at = f" ({where})" if where else ""
    return AddressRefused(
        f"{program}{name}{at} wants {what}{when}: that is no server of the lab, nothing was sent", remedy
    )


def _application(stack: str) -> str:
    """The innermost place that is neither a library's nor the lab's."""
    for found in FRAME.finditer(stack):
        if not LIBRARIES.search(found["file"]):
            path = Path(found["file"])
            return f"{path.parent.name}/{path.name}:{found['line']}"
    return ""
