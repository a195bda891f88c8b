"""The embedded rig's Toxiproxy: a process on loopback."""

from __future__ import annotations

import os
import signal
import subprocess

from lab.errors import ServerNotReady
from lab.rig.machine import port, process, tcp
from lab.rig.machine.process import Home
from lab.rig.toxiproxy.binary import Found, ensure_toxiproxy
from lab.rig.toxiproxy.proxies import PROXIES_PER_SERVER, Proxy, ProxyServer
from lab.timing import STOP

__all__ = ["Proxy", "Toxiproxy", "ensure_toxiproxy"]

START_TIMEOUT = 10.0


class Toxiproxy(ProxyServer):
    """A child of this process."""

    def __init__(self, home: Home, binary: Found, per_server: int = PROXIES_PER_SERVER) -> None:
        self._port = port.reserve()
        super().__init__(port.LOOPBACK, self._port.number, home.folder / "toxiproxy.log", per_server)
        self.home = home
        self.binary = binary
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The server's pid. Raises `ServerNotReady` when it was never started."""
        if self._child is None:
            raise ServerNotReady("Toxiproxy is not running", "start it first")
        return self._child.pid

    @property
    def version(self) -> str:
        """E.g. "2.12.0"."""
        return self.binary.version

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Start and wait until this very process listens. Raises `ServerNotReady` after `timeout` seconds."""
        with self.lock:
            log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                argv = [str(self.binary.path), "-host", port.LOOPBACK, "-port", str(self._port.number)]
                self._child = process.spawn(argv, self.home, stdout=log, environ={"LOG_LEVEL": "info"})
            finally:
                os.close(log)
            self._wait_listening(self._child, timeout)
            self.started()

    def restart(self) -> None:
        """Kill and start again on the same API port: all proxies and their connections end. Also out of SIGSTOP."""
        with self.lock:
            if self._child is not None:
                self._child.kill()
                self._child.wait()
            self.start()

    def close(self) -> None:
        """End the server and give the port back."""
        with self.lock:
            if self._child is not None:
                self._child.kill()  # it keeps nothing: there is nothing to end in order
                self._child.wait()
            self._api.transport.renew()
            self._port.release()

    def freeze(self) -> None:
        """SIGSTOP: silence on all proxies, while the kernel accepts and acknowledges. Calls end in `ProxyLost`.

        Returns when it holds: until its last thread has stopped, the server still answers. Raises `ServerNotReady`.
        """
        os.kill(self.pid, signal.SIGSTOP)
        if not process.wait_until(lambda: process.is_stopped(self.pid), STOP.seconds):
            raise ServerNotReady(f"Toxiproxy (pid {self.pid}) did not stop within {STOP.seconds:.0f} s of SIGSTOP")

    def thaw(self) -> None:
        """SIGCONT: everything goes on, nothing lost."""
        os.kill(self.pid, signal.SIGCONT)

    def _wait_listening(self, child: subprocess.Popen[bytes], timeout: float) -> None:
        happened = process.wait_until(lambda: child.poll() is not None or self._listens(), timeout)
        if not happened or child.poll() is not None:
            child.kill()
            child.wait()
            said = process.tail(self.log_path)
            raise ServerNotReady(f"Toxiproxy did not start on port {self._port.number}: {said}", "run lab doctor")

    def _listens(self) -> bool:
        # Not by connecting: when the port is taken, Toxiproxy stays alive and somebody else would answer.
        return tcp.listens(self.pid, self._port.number)
