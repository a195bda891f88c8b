"""A real client that holds connections through a plan's line, and the means to watch the line from elsewhere."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from lab.fault import Fault, Seen, Sighting
from lab.records.variant import Variant
from lab.rig.embedded.postgres import SUPERUSER
from lab.rig.embedded.rig import Rig
from lab.rig.machine import process, tcp
from lab.rig.site.site import PlanSite, open_site
from lab.subject.handle import Child, Zygote

LAND = 2.0  # seconds that a fault has to be seen; the lab itself gives it one, our machine may be shared
RUNS = itertools.count(1)
SETTINGS = "SELECT name, setting FROM pg_settings WHERE source = 'configuration file' ORDER BY name"
OTHERS = f"SELECT count(*) FROM pg_stat_activity WHERE usename <> '{SUPERUSER}' AND backend_type = 'client backend'"


class Client:
    """The subject's process, one step at a time, on actor `t0`."""

    def __init__(self, child: Child) -> None:
        self.child = child

    def send(self, do: str, **fields: Any) -> None:
        """Begin a step."""
        step = {"do": do, "id": 1, "actor": "t0", "alias": "default", "nonce": "n", "plan": "p", "token": "t"}
        tells = {"begin": "request_started", "end": "request_finished"}.get(do, "")
        self.child.send({**step, "savepoint": True, "outcome": "commit", "tells": tells, **fields})

    def answer(self, timeout: float = 10.0) -> dict[str, Any]:
        """How it ended."""
        answer = self.child.receive(timeout)
        assert answer is not None, "the step has not returned"
        return answer

    def do(self, step: str, **fields: Any) -> dict[str, Any]:
        """A whole step."""
        self.send(step, **fields)
        return self.answer()

    def ok(self, step: str, **fields: Any) -> dict[str, Any]:
        """A whole step that must succeed."""
        answer = self.do(step, **fields)
        assert answer["ending"] == "ok", answer
        return answer

    def connect(self) -> None:
        """Into a transaction that has read something, whatever came before."""
        self.disconnect()
        self.ok("begin")
        self.ok("enter")
        self.ok("read")

    def try_to_connect(self) -> None:
        """A new connection and a query, whatever comes of it."""
        self.disconnect()
        self.ok("begin")
        self.do("read")

    def disconnect(self) -> None:
        """Out of everything, as well as it can."""
        self.do("leave", outcome="rollback")
        self.do("end")
        self.do("close")

    def quiet(self, timeout: float) -> bool:
        """Whether a step that was sent does not return within `timeout` seconds."""
        return self.child.receive(timeout) is None


class Line:
    """A plan's line with its client, its site, and what must be there again after a fault."""

    def __init__(self, rig: Rig, site: PlanSite, child: Child) -> None:
        self.rig = rig
        self.site = site
        self.client = Client(child)
        self.where = site.databases["default"]
        self.host = self.where["HOST"]
        self.port = int(self.where["PORT"])
        self.before = self._state()

    def sight(self, seen: Seen, deadline: float = LAND) -> Sighting | None:
        """Ask the look-out until it has seen something, as the lab does; None: nothing, or there is nothing to see."""
        until = time.monotonic() + deadline
        while (sighting := seen()) is None and time.monotonic() < until:
            time.sleep(0.002)
        return sighting if isinstance(sighting, Sighting) else None

    def raw(self) -> socket.socket:
        """A bare connection through the line, proven by the server's answer to an SSLRequest."""
        connection = socket.create_connection((self.host, self.port), 5.0)
        connection.sendall(bytes.fromhex("0000000804d2162f"))
        assert connection.recv(1) == b"N"
        return connection

    def session(self, **extra: Any) -> psycopg.Connection[Any]:
        """A session of this plan's user, by psycopg 3 in this process."""
        where = self.where
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=where["USER"],
            password=where["PASSWORD"],
            dbname=where["NAME"],
            connect_timeout=5,
            sslmode="disable",
            gssencmode="disable",
            autocommit=True,
            **extra,
        )

    def established(self) -> int:
        """Open connections to the line, by the kernel."""
        return sum(each.state == "ESTABLISHED" for each in tcp.clients(os.getpid(), self.port))

    def as_before(self) -> None:
        """Fail unless the rig is as it was: connecting works quickly, nothing stopped, no toxic, settings, slots."""
        begun = time.monotonic()
        with self.session() as session:
            session.execute("SELECT 1")
        assert time.monotonic() - begun < 1.0
        assert self._state() == self.before
        assert self.rig.control().execute("SELECT 1").fetchone() == (1,)

    def recover(self) -> None:
        """As the lab does between plans, and make the site believe that it began after it."""
        self.rig.recover()
        self.site._epoch = self.site.server.epoch()

    def _state(self) -> dict[str, Any]:
        control = self.rig.control()
        self.client.disconnect()
        process.wait_until(lambda: control.execute(OTHERS).fetchone() == (0,), 3.0)
        with self.rig.toxiproxy._api() as api:
            proxies = api.get("/proxies").json()
        servers = [self.rig.toxiproxy.pid, *(child.pid for child in self.rig.postgres.postmaster.children())]
        return {
            "toxics": {name: [toxic["type"] for toxic in proxy["toxics"]] for name, proxy in proxies.items()},
            "listeners": {name: proxy["listen"] for name, proxy in proxies.items()},
            "enabled": {name: proxy["enabled"] for name, proxy in proxies.items()},
            "settings": control.execute(SETTINGS).fetchall(),
            "sessions of plans": control.execute(OTHERS).fetchone(),
            "stopped": [pid for pid in servers if self.rig.server.stopped(pid)],
        }


@pytest.fixture(scope="session")
def keeper(rig: Rig) -> Iterator[Zygote]:
    """Stock Django that keeps its connections, on psycopg2."""
    zygote = Zygote(Variant(name="keeper", settings={"CONN_MAX_AGE": None}), rig.folder, rig.environ())
    yield zygote
    zygote.close()


@pytest.fixture(scope="session")
def stock(rig: Rig) -> Iterator[Zygote]:
    """Stock Django: a connection per request, on psycopg2."""
    zygote = Zygote(Variant(name="stock"), rig.folder, rig.environ())
    yield zygote
    zygote.close()


OpenLine = Callable[..., Line]


@pytest.fixture
def open_line(rig: Rig, keeper: Zygote) -> Iterator[OpenLine]:
    """Open a line for a fault, armed where the fault wants it; everything is cleared at the end.

    It has no proxy where the fault needs none, as in a run, unless `direct` says otherwise.
    """
    with ExitStack() as stack:

        def opened(*faults: Fault, shared: bool = False, direct: bool | None = None) -> Line:
            if lacking := frozenset[str]().union(*(fault.needs for fault in faults)) - rig.capabilities:
                pytest.skip(f"this rig lacks {', '.join(lacking)}")
            wire = any("wire" in fault.needs for fault in faults)
            stack.enter_context(rig.shared() if shared else rig.exclusive())
            spared = bool(faults) and all(fault.beside for fault in faults) if direct is None else direct
            site = stack.enter_context(open_site(rig, f"{next(RUNS):012x}", ("default",), wire=wire, direct=spared))
            for fault in faults:
                fault.prepare(site)
            child = keeper.fork(site.environ, site.databases)
            stack.callback(site.clear)
            stack.callback(child.kill)
            site.adopt(child)
            return Line(rig, site, child)

        yield opened


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail when the block takes longer."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds
