"""The docker rig's Toxiproxy: a container of the official image."""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress
from pathlib import Path

from docker.errors import DockerException
from docker.types.daemon import CancellableStream

from lab.errors import ProxyLost, ServerNotReady
from lab.rig.docker.container import RigContainer
from lab.rig.docker.containers import Containers
from lab.rig.docker.engine import asking
from lab.rig.machine import process
from lab.rig.toxiproxy.proxies import PROXIES_PER_SERVER, ProxyServer
from lab.timing import LOG, PLUG, STOP

API_PORT = 8474
START_TIMEOUT = 10.0


class DockerToxiproxy(ProxyServer):
    """A container by its own address; what it prints is followed into `log_path`."""

    def __init__(self, containers: Containers, log_path: Path, per_server: int = PROXIES_PER_SERVER) -> None:
        super().__init__(containers.toxiproxy_host, API_PORT, log_path, per_server)
        self.upstream_host = containers.postgres_host
        self.container: RigContainer = containers.toxiproxy
        self._network = containers.network
        self._version = ""
        self._paused = self._unplugged = False
        self._marks = itertools.count(1)
        self._lines: CancellableStream[bytes]
        self._follower: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """As this machine knows it. Raises `ServerNotReady` when it does not run."""
        return self.container.pid

    @property
    def version(self) -> str:
        """E.g. "2.12.0"."""
        return self._version

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Start and wait until it answers. Raises `ServerNotReady` after `timeout` seconds."""
        with self.lock:
            self._stop()  # compose may have started it, and an earlier lab have left it in any state
            self._connect()
            self._follow()
            self.container.start()
            self.started()
            if not process.wait_until(self._answers, timeout):
                raise ServerNotReady(
                    f"Toxiproxy in its container does not answer: {self.container.said()}", "run lab doctor"
                )

    def restart(self) -> None:
        """Kill and start again at the same address: all proxies and their connections end. Also out of a freeze."""
        self.start()

    def freeze(self) -> None:
        """Pause the container: silence on all proxies, while its kernel accepts and acknowledges."""
        self.container.pause()
        self._paused = True

    def thaw(self) -> None:
        """Let it go on, nothing lost."""
        self.container.unpause()
        self._paused = False

    def unplug(self) -> None:
        """Take the container off its network: silence on all proxies, and nobody acknowledges anything. Idempotent."""
        if self._unplugged:
            return
        with asking("disconnect Toxiproxy"):
            self._network.disconnect(self.container.sdk)
        self._unplugged = True

    def plug(self) -> None:
        """Put it back with the address that it had; returns when it answers. No-op when it is there.

        Raises `ServerNotReady`.
        """
        if not self._unplugged:
            return
        self._connect()
        self._api.transport.renew()
        if not process.wait_until(self._answers, PLUG.seconds):
            raise ServerNotReady("Toxiproxy does not answer since it is back in its network", "run lab doctor")

    def settle_log(self) -> None:
        """Return when the log tells all that has happened: when a mark of ours, made now, is in it."""
        if self._paused or self._unplugged:
            return  # nothing can happen
        mark = f"lab-mark-{next(self._marks)}"
        before = self.log_path.stat().st_size
        with self.lock, self._api() as api:
            api.get("/version", headers={"User-Agent": mark})
        if not process.wait_until(lambda: self._tells(f'"{mark}"', before), LOG.seconds):
            raise ProxyLost("the Docker engine does not hand over what Toxiproxy prints", "run lab doctor")

    def close(self) -> None:
        """Let go of it; whoever has made the container removes it."""
        self._api.transport.renew()
        if self._follower is not None:
            self._lines.close()
            self._follower.join(STOP.seconds)

    def _tells(self, what: str, since: int) -> bool:
        with self.log_path.open("rb") as log:
            log.seek(since)
            return what.encode() in log.read()

    def _connect(self) -> None:
        with asking("connect Toxiproxy"):
            self.container.sdk.reload()
            if self._network.name not in self.container.sdk.attrs["NetworkSettings"]["Networks"]:
                self._network.connect(self.container.sdk, ipv4_address=self.host, aliases=["toxiproxy"])
        self._unplugged = False

    def _stop(self) -> None:
        self.thaw()
        self.container.kill()
        if not self.container.ended(STOP.seconds):
            raise ServerNotReady("Toxiproxy's container does not end", "look at the engine's log")

    def _answers(self) -> bool:
        try:
            with self._api() as api:
                self._version = str(api.get("/version").json()["version"])
        except ProxyLost:
            return False
        return True

    def _follow(self) -> None:
        """Before the container starts, so that nothing it prints is missed."""
        if self._follower is not None:
            self._follower.join(STOP.seconds)  # it ends with the container's earlier life
        with asking("attach to Toxiproxy"):
            self._lines = self.container.sdk.attach(stdout=True, stderr=True, stream=True)
        self._follower = threading.Thread(target=_copy, args=[self._lines, self.log_path], name="lab-toxiproxy-log")
        self._follower.daemon = True
        self._follower.start()


def _copy(chunks: CancellableStream[bytes], path: Path) -> None:
    with path.open("ab", buffering=0) as log, suppress(DockerException, OSError):
        for chunk in chunks:
            log.write(chunk)
    chunks._response.close()  # type: ignore[attr-defined]  # noqa: SLF001 - its own close() leaves the socket open
