"""A Toxiproxy server and its proxies, in the regime that docs/toxiproxy.md calls safe, wherever it runs.

One proxy per plan; toxics are installed before the connection and never removed or updated; healing is to delete
the proxy and create it again on the same port; every call has a deadline; silence or a 5xx is `ProxyLost`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from toxiproxy import Proxy as ProxyRecord
from toxiproxy.exceptions import NotFound

from lab.errors import ProxyLost
from lab.records.words import Direction
from lab.rig.machine import port
from lab.rig.toxiproxy import api
from lab.rig.toxiproxy.toxic import Armed, Installed, Toxic

PROXIES_PER_SERVER = 2000
"""A server is replaced after so many proxies: each leaks goroutines and memory (docs/toxiproxy.md)."""


class ProxyServer:
    """One server and its proxies. Thread-safe.

    It listens at `host`, and its proxies lead to ports of `upstream_host`.
    """

    def __init__(self, host: str, api_port: int, log_path: Path, per_server: int = PROXIES_PER_SERVER) -> None:
        self.host = host
        self.upstream_host = host
        self.log_path = log_path
        self.per_server = per_server
        self.generation = 0
        """Grows with every start: the proxies of an older generation are gone."""
        self.created = 0
        """Proxies created since the present server was started, re-creations counted."""
        self.lock = threading.RLock()
        self._live: set[str] = set()
        self._api = api.Api(host, api_port)

    @property
    def pid(self) -> int:
        """The server's pid. Raises `ServerNotReady` when it was never started."""
        raise NotImplementedError

    @property
    def version(self) -> str:
        """E.g. "2.12.0"."""
        raise NotImplementedError

    def restart(self) -> None:
        """Kill and start again at the same address: all proxies and their connections end. Also out of a freeze."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Silence on all proxies, while the kernel accepts and acknowledges. Calls end in `ProxyLost`."""
        raise NotImplementedError

    def thaw(self) -> None:
        """Everything goes on, nothing lost."""
        raise NotImplementedError

    def settle_log(self) -> None:
        """Return when the log tells all that has happened."""

    def started(self) -> None:
        """A new server runs, without proxies."""
        self._api.transport.renew()
        self.generation += 1
        self.created = 0
        self._live.clear()

    def alive(self) -> bool:
        """Whether it answers: with the list of proxies, which a wedged server withholds while it tells its version."""
        try:
            with self._api() as api:
                api.get("/proxies")
        except ProxyLost:
            return False
        return True

    def proxy(self, name: str, upstream_port: int, toxics: Sequence[Installed] = ()) -> Proxy:
        """Create a proxy to a port of `upstream_host`, on a port of its own.

        `toxics` are in place before its first connection. `name` is unique among live proxies, without "/". Use it as a
        context manager, or `delete` it. Raises `ProxyLost`.
        """
        with self.lock:
            self._replace_if_worn()
            proxy = Proxy(self, name, upstream_port)
            try:
                proxy.recreate(toxics)
            except BaseException:
                proxy.delete()
                raise
            return proxy

    def _replace_if_worn(self) -> None:
        if self.created >= self.per_server and not self._live:
            self.restart()

    def create(self, name: str, listen: int, upstream: int, toxics: Sequence[Installed]) -> None:
        """For `Proxy`: create it on its port; with toxics, disabled first, so that none misses the first connection."""
        with self.lock, self._api() as api:
            body = {
                "name": name,
                "listen": f"{self.host}:{listen}",
                "upstream": f"{self.upstream_host}:{upstream}",
                "enabled": not toxics,
            }
            # Not the library's create(): it lists all proxies first.
            record = ProxyRecord(**api.post("/proxies", json=body).json())
            self._live.add(name)
            self.created += 1
            for number, installed in enumerate(toxics):
                _add(record, number, installed)
            if toxics:
                record.enable()

    def add(self, name: str, number: int, installed: Installed) -> None:
        """For `Proxy`: add the `number`th toxic."""
        with self.lock, self._api():
            _add(ProxyRecord(name=name, upstream="", enabled=True, listen=""), number, installed)

    def destroy(self, name: str) -> None:
        """For `Proxy`: delete it, closing its connections. No-op when it is not there."""
        with self.lock, self._api() as api:
            self._live.discard(name)
            with suppress(NotFound):
                api.delete(f"/proxies/{name}")


class Proxy:
    """One plan's way to a server: `port` is fixed for its life. One thread at a time."""

    def __init__(self, server: ProxyServer, name: str, upstream_port: int) -> None:
        self.name = name
        self.toxics: tuple[Installed, ...] = ()
        self._server = server
        self._upstream_port = upstream_port
        self._generation = server.generation
        self._port = port.reserve()
        self._nowhere: port.Port | None = None
        self._log = server.log_path.stat().st_size
        self._accepted = 0
        self._listening = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.delete()

    @property
    def host(self) -> str:
        """Where clients connect to."""
        return self._server.host

    @property
    def port(self) -> int:
        """Where clients connect to, at the server's `host`."""
        return self._port.number

    def add(self, toxic: Toxic, stream: Direction) -> None:
        """Put a toxic at the end of a direction's chain: before the first connection, or while all of them are idle.

        On a connection that dies with data in flight the server may wedge.
        """
        self._check_generation()
        installed = Installed(toxic, stream)
        if self._listening:
            self._server.add(self.name, len(self.toxics), installed)
        self.toxics = (*self.toxics, installed)

    def arm_reset(self) -> None:
        """From the next connection on, every close is an RST to both sides instead of a FIN."""
        self.add(Armed(), "downstream")

    def cut(self) -> None:
        """End all connections, with FIN (RST when armed before they came), and listen again with the same toxics."""
        self.recreate(self.toxics)

    def refuse(self) -> None:
        """End all connections and let new ones be refused (ECONNREFUSED)."""
        self._check_generation()
        self._delete()

    def accepted(self) -> int:
        """How many connections it has taken so far: its server writes a line for each before it does anything else."""
        self._server.settle_log()
        with self._server.log_path.open("rb") as log:
            log.seek(self._log)
            lines = log.read()
        lines = lines[: lines.rfind(b"\n") + 1]
        self._log += len(lines)
        mine = f'"name":"{self.name}"'.encode()
        self._accepted += sum(mine in line and b"Accepted client" in line for line in lines.splitlines())
        return self._accepted

    def turn_away(self) -> None:
        """End all connections, and every new one with FIN as soon as it is there: behind the proxy nobody listens."""
        self._check_generation()
        self._nowhere = self._nowhere or port.reserve()
        self._delete()
        self._create(self.toxics, self._nowhere.number)

    def accept(self) -> None:
        """Listen again after `refuse`, with the same toxics. No-op when listening."""
        self._check_generation()
        if not self._listening:
            self._create(self.toxics)

    def recreate(self, toxics: Sequence[Installed] = ()) -> None:
        """Delete and create again on the same port with other toxics (default: none): the way to heal."""
        self._check_generation()
        self._delete()
        self._create(tuple(toxics))

    def delete(self) -> None:
        """End everything and give the port back. Never raises: what is lost needs no deletion. Idempotent."""
        if self._listening and self._generation == self._server.generation:
            with suppress(ProxyLost):
                self._delete()
        self._listening = False
        self._port.release()
        if self._nowhere is not None:
            self._nowhere.release()

    def _create(self, toxics: tuple[Installed, ...], upstream_port: int | None = None) -> None:
        self._listening = True  # also when it fails halfway: then there may be something to delete
        self._server.create(self.name, self.port, upstream_port or self._upstream_port, toxics)
        self.toxics = toxics

    def _delete(self) -> None:
        if self._listening:
            self._server.destroy(self.name)
            self._listening = False

    def _check_generation(self) -> None:
        if self._generation != self._server.generation:
            raise ProxyLost(f"proxy {self.name} went with its server", api.REMEDY)


def _add(record: ProxyRecord, number: int, installed: Installed) -> None:
    what = installed.toxic
    record.add_toxic(
        name=f"{number}_{what.kind}",
        type=what.kind,
        stream=installed.stream,
        toxicity=what.toxicity,
        attributes=what.attributes(),
    )
