"""Whether this machine can have the netns rig: all that it needs, tried in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from lab.errors import BadInput, ServerNotReady, ToolMissing
from lab.rig.machine.port import LOOPBACK
from lab.rig.netns import namespace
from lab.rig.netns.loss import PacketLoss

PROBE_DEADLINE = 20.0
ROOT = Path(__file__).resolve().parents[3]

_ECHO = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
peer, _ = listener.accept()
while data := peer.recv(100):
    peer.sendall(data)
"""


def probe() -> str:
    """Try all that the netns rig needs, in a process of its own: what works, in words. Raises `ToolMissing`."""
    if not sys.platform.startswith("linux"):
        raise ToolMissing("network namespaces are Linux's", "use the embedded rig, or a Linux machine")
    program = "from lab.rig.netns import probe; probe.try_out()"
    try:
        tried = subprocess.run(
            [sys.executable, "-c", program],
            cwd="/",
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
            capture_output=True,
            text=True,
            timeout=PROBE_DEADLINE,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolMissing(f"no network namespace: it could not be tried ({error})", namespace.REMEDY) from error
    message, _, remedy = tried.stdout.strip().partition("\n")
    if tried.returncode == 0 and message:
        return message
    raise ToolMissing(message or f"no network namespace: {tried.stderr.strip()[-200:]}", remedy or namespace.REMEDY)


def try_out() -> None:
    """What the process of `probe` does: prints what works and ends with 0, or what does not, and a remedy, with 1."""
    try:
        namespace.enter()
        _lose_and_heal()
    except (ToolMissing, BadInput) as error:
        print(f"{error.message}\n{error.remedy}")  # noqa: T201 - for the process that reads us
        raise SystemExit(1) from None
    who = "root's network namespace" if os.geteuid() == 0 else "user and network namespace"
    print(f"{who} with packet loss on a private loopback")  # noqa: T201


def _lose_and_heal() -> None:
    """Lose a packet between this process and a child of it, see it counted, and heal. Raises `ToolMissing`."""
    with subprocess.Popen([sys.executable, "-c", _ECHO], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            port = int(child.stdout.readline())
            loss = PacketLoss([port], port, lambda: [os.getpid()], lambda: [child.pid], list)
            with socket.create_connection((LOOPBACK, port), 2.0) as client:
                _expect_loss(loss, client)
        except (OSError, ServerNotReady) as error:
            raise ToolMissing(f"no packet loss: {error}", namespace.REMEDY) from error
        finally:
            child.kill()


def _expect_loss(loss: PacketLoss, client: socket.socket) -> None:
    client.sendall(b"a")
    client.recv(1)
    for towards in ("server", "client"):
        before = loss.lost()
        loss.drop(towards)
        loss.provoke()
        _, port = client.getsockname()
        gone, was = loss.lost()[port], before[port]
        if not (gone.to_server > was.to_server if towards == "server" else gone.to_client > was.to_client):
            raise ServerNotReady("a filter on a socket loses nothing")
        if loss.answers() is not False:
            raise ServerNotReady("a filter on a listener loses nothing")
        loss.restore()
    client.sendall(b"b")
    if client.recv(1) != b"b":
        raise ServerNotReady("a connection does not go on after a loss")
