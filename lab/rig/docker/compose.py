"""The servers that compose/compose.yaml has started, for a lab that runs beside them in the same network."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.models.networks import Network

from lab.errors import BadInput, ServerNotReady, ToolMissing
from lab.rig.docker.container import RigContainer
from lab.rig.docker.containers import POSTGRES_PLACE, TOXIPROXY_PLACE, VERSION_VARIABLE, Containers
from lab.rig.docker.engine import asking

VARIABLE = "LAB_COMPOSE"
"""Names the folder that compose shares between its services; it is set in the `lab` service alone."""

PROJECT, SERVICE, NETWORK = (f"com.docker.compose.{what}" for what in ("project", "service", "network"))
REMEDY = "start it with docker compose -f compose/compose.yaml run --rm lab"


def shared() -> Path | None:
    """The folder shared with the servers when compose has started us, else None."""
    place = os.environ.get(VARIABLE)
    return Path(place) if place else None


@contextmanager
def adopt(client: docker.DockerClient, folder: Path, version: str = "") -> Iterator[Containers]:
    """The servers of our own compose project, for this lab alone while the block lasts.

    Raises `BadInput` when a server `version` is asked for, `ServerNotReady` when they are not there or taken.
    """
    if version:
        raise BadInput(
            "compose has one PostgreSQL version",
            f"set {VERSION_VARIABLE}, or run the lab outside of compose with --rig docker",
        )
    with _alone(folder):
        yield _servers(client, folder)


def _servers(client: docker.DockerClient, folder: Path) -> Containers:
    with asking("look for our compose project"):
        project = client.containers.get(socket.gethostname()).labels.get(PROJECT, "")
        if not project:
            raise ToolMissing(f"${VARIABLE} is set, and compose has not started this container", REMEDY)
        network, subnet = _network(client, project)
        postgres, toxiproxy = (_service(client, project, name) for name in ("postgres", "toxiproxy"))
    postgres_host, toxiproxy_host = (str(subnet[place]) for place in (POSTGRES_PLACE, TOXIPROXY_PLACE))
    password = (folder / "password").read_text(encoding="ascii").strip()
    return Containers(network, subnet, postgres, toxiproxy, postgres_host, toxiproxy_host, password, ours=False)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lab.lock").open("a", encoding="ascii") as lock:
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServerNotReady(
                "another lab uses these servers", "wait for it, or have more of them: docker compose -p NAME"
            ) from None
        yield  # closing the file gives it back, and so does the kernel when this process is killed


def _network(client: docker.DockerClient, project: str) -> tuple[Network, ipaddress.IPv4Network]:
    found = client.networks.list(filters={"label": [f"{PROJECT}={project}", f"{NETWORK}=lab"]})
    if len(found) != 1:
        raise ServerNotReady(f"the compose project {project} has no network called lab", REMEDY)
    (network,) = found
    network.reload()
    return network, ipaddress.IPv4Network(network.attrs["IPAM"]["Config"][0]["Subnet"])


def _service(client: docker.DockerClient, project: str, name: str) -> RigContainer:
    wanted = [f"{PROJECT}={project}", f"{SERVICE}={name}"]
    found = client.containers.list(all=True, filters={"label": wanted}, ignore_removed=True)
    if len(found) != 1:
        raise ServerNotReady(f"the compose project {project} has {len(found)} containers called {name}", REMEDY)
    return RigContainer(found[0])
