"""Refuses connections to any server but the lab's, at the driver and in Python, and tells the lab who wanted one.

The kernel refuses them all anyway (lab/subject/warden.py): what is here knows names where the kernel knows numbers,
and which ENGINE asked. Where the kernel cannot be asked, this is what holds.
"""

from __future__ import annotations

import faulthandler
import functools
import ipaddress
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

STACK = int(signal.SIGRTMIN) + 9
"""As in lab/subject/warden.py: on this signal a thread writes where it is."""

PLACEHOLDER = ("127.0.0.1", "1")
"""As in lab/subject/warden.py: a project's own database, while it loads."""

HERE = ("localhost", "localhost.localdomain", "ip6-localhost", "")
LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_LONGEST = 40  # frames


class Refused(OSError):
    """Somebody wanted a server that is not the lab's."""


class Guard:
    """One process's and those that it forks. It cannot be taken off: Python keeps an audit hook for good."""

    def __init__(self, tell: int, stack: int, *, held: bool) -> None:
        self._tell = tell
        self._held = held
        self._allowed: frozenset[tuple[str, str]] = frozenset()
        self._zygote = os.getpid()
        self._drivers: set[str] = set()
        self._asked: set[str] = set()
        self.wrapper: type | None = None
        """The ENGINE's DatabaseWrapper, once it is known."""
        faulthandler.register(STACK, file=stack, all_threads=False, chain=False)
        sys.addaudithook(self._audit)

    def allow(self, databases: Mapping[str, Mapping[str, Any]]) -> None:
        """These aliases' servers, and no others, are the lab's."""
        self._allowed = frozenset((str(each["HOST"]), str(each["PORT"])) for each in databases.values())

    def watch_drivers(self) -> None:
        """Look at what each driver that has been imported is about to connect to."""
        if (psycopg2 := sys.modules.get("psycopg2")) is not None and "psycopg2" not in self._drivers:
            self._drivers.add("psycopg2")
            # What psycopg2.connect calls in the end, whoever has wrapped that.
            vars(psycopg2)["_connect"] = self._before(vars(psycopg2)["_connect"], psycopg2.extensions.parse_dsn)
        if (psycopg := sys.modules.get("psycopg")) is not None and "psycopg" not in self._drivers:
            self._drivers.add("psycopg")
            generators = psycopg.generators
            generators.connect = self._before(generators.connect, psycopg.conninfo.conninfo_to_dict)

    def _before(self, connect: Callable[..., Any], parse: Callable[[str], Mapping[str, Any]]) -> Callable[..., Any]:
        """`connect`, whose first argument is a connection string, after a look at where that goes."""

        @functools.wraps(connect)
        def looked_at(conninfo: str, *args: Any, **kwargs: Any) -> Any:
            try:
                places = list(_places(parse(conninfo)))
            except Exception:  # no connection string: the driver says so itself
                return connect(conninfo, *args, **kwargs)
            for host, port in places:
                if self._held and (host, port) == PLACEHOLDER and os.getpid() == self._zygote:
                    continue  # the kernel says that it is down
                if (host, port) not in self._allowed:
                    self._refuse(host if not port else f"{host}:{port}", "tcp" if port else "unix")
            return connect(conninfo, *args, **kwargs)

        return looked_at

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not event.startswith("socket."):
            return
        if event in LOOKUPS:
            host, port = arguments[0], str(arguments[1] or "") if event == "socket.getaddrinfo" else ""
            name = host.decode(errors="replace") if isinstance(host, bytes) else str(host or "")
            if self._is_foreign_name(name):
                self._refuse(f"{name}:{port}" if port else name, "name")
        elif event in ("socket.connect", "socket.sendto"):
            address = arguments[1]
            if isinstance(address, tuple) and len(address) > 1 and isinstance(address[0], str):
                host, port = address[0], str(address[1])
                if self._is_foreign_name(host) or (not self._held and (host, port) not in self._allowed):
                    self._refuse(f"{host}:{port}", "tcp")
            elif isinstance(address, (str, bytes)):
                if not self._held:
                    self._refuse(os.fsdecode(address), "unix")
                self._say_who(os.fsdecode(address))

    def _is_foreign_name(self, host: str) -> bool:
        """A name that would have to be looked up, and is neither this machine's nor the lab's."""
        if host in HERE or host == os.uname().nodename or any(host == each for each, _ in self._allowed):
            return False
        try:
            ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return True
        return False

    def _refuse(self, wanted: str, kind: str) -> None:
        early = wanted == ":".join(PLACEHOLDER) and os.getpid() == self._zygote
        stack, engine = _stack(sys._getframe(2)), self._engine_line()  # noqa: SLF001 - the way to a stack without its text
        self._send(wanted=wanted, kind=kind, fatal=not early, program="", stack=stack, engine=engine)
        raise Refused(13, f"the lab refuses a connection to {wanted}")

    def _say_who(self, path: str) -> None:
        """Tell which line of Python wants this Unix socket, for when the kernel refuses it; C asks for others."""
        if path not in self._asked:
            self._asked.add(path)
            self._send(asked=path, stack=_stack(sys._getframe(2)))  # noqa: SLF001 - as above

    def _send(self, **message: Any) -> None:
        try:
            with socket.socket(fileno=os.dup(self._tell)) as tell:
                tell.send(json.dumps(message).encode())
        except OSError:
            pass  # the lab has gone, and this process is about to

    def _engine_line(self) -> str:
        """Where the ENGINE's own code decides about parameters: file and line, "" when all of it is Django's."""
        for cls in self.wrapper.__mro__ if self.wrapper is not None else ():
            if cls.__module__.startswith("django."):
                break
            for name in ("get_connection_params", "get_new_connection", "connect"):
                code = getattr(vars(cls).get(name), "__code__", None)
                if code is not None:
                    return f"{code.co_filename}:{code.co_firstlineno}"
        return ""


def _stack(frame: FrameType) -> str:
    """As faulthandler writes one: the innermost line first."""
    lines = [
        f'  File "{each.filename}", line {each.lineno} in {each.name}'
        for each in reversed(traceback.extract_stack(frame, _LONGEST))
    ]
    return "\n".join(lines)


def _places(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Host and port of each server that libpq would try; for a Unix socket its path and ""."""

    def given(name: str, variable: str) -> str:
        return str(parameters.get(name) or os.environ.get(variable) or "")

    if service := given("service", "PGSERVICE"):
        yield f"service {service!r}", ""
        return
    numbers = given("hostaddr", "PGHOSTADDR").split(",")
    hosts = given("host", "PGHOST").split(",")
    ports = given("port", "PGPORT").split(",")
    for place in range(max(len(hosts), len(numbers))):
        number = numbers[place] if place < len(numbers) else ""
        host = number or (hosts[place] if place < len(hosts) else "")
        port = (ports[place] if place < len(ports) else ports[0]) or "5432"
        if not host:
            yield f"libpq's default server (no host is given), port {port}", ""
        elif host.startswith(("/", "@")):
            yield f"{host}/.s.PGSQL.{port}", ""
        else:
            yield host, port
