"""What a lab makes on the Docker engine: a network with fixed addresses, PostgreSQL and Toxiproxy in it."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import APIError
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import IPAMConfig, IPAMPool

from lab.errors import BadInput, ServerNotReady
from lab.rig.docker.container import RigContainer
from lab.rig.docker.engine import LABEL, asking, have_image
from lab.rig.postgres import settings
from lab.rig.toxiproxy.binary import Notify

VERSION_VARIABLE = "LAB_POSTGRES_VERSION"
DEFAULT_VERSION = "18.6"
OLDEST, NEWEST = 15, 18
TOXIPROXY = "ghcr.io/shopify/toxiproxy:2.12.0"
POSTGRES_PLACE, TOXIPROXY_PLACE = 10, 20
"""The last parts of the two addresses."""

INITDB = "--auth-host=scram-sha-256 --encoding=UTF8 --locale=C --no-sync --wal-segsize=1"
DATA = "/var/lib/postgresql"
"""Where the volume goes when the image does not say."""

ATTEMPTS = 10
"""How often another lab may take the subnet that the engine has named."""


@dataclass(frozen=True)
class Containers:
    """The two servers, where they are, and the superuser's first password."""

    network: Network
    subnet: ipaddress.IPv4Network
    postgres: RigContainer
    toxiproxy: RigContainer
    postgres_host: str
    toxiproxy_host: str
    password: str
    ours: bool = True
    """Whether the lab has made them, and ends them; else compose has."""


def chosen_version(version: str = "") -> str:
    """The tag of the `postgres` image: `version`, else $LAB_POSTGRES_VERSION, else the newest. Raises `BadInput`."""
    chosen = version or os.environ.get(VERSION_VARIABLE) or DEFAULT_VERSION
    if not re.fullmatch(r"[0-9]+[A-Za-z0-9_.-]*", chosen) or not OLDEST <= major(chosen) <= NEWEST:
        raise BadInput(f"PostgreSQL {chosen}: that is no version that the lab knows", f"give {OLDEST} to {NEWEST}")
    return chosen


def major(version: str) -> int:
    """The major version that a tag names."""
    found = re.match(r"[0-9]+", version)
    return int(found[0]) if found else 0


def create(
    client: docker.DockerClient, lab_id: str, version: str, max_connections: int, progress: Notify
) -> Containers:
    """Make and start everything; PostgreSQL then still has to set itself up. Raises `ToolMissing`, `ServerNotReady`."""
    image = f"postgres:{version}"
    for name in (image, TOXIPROXY):
        have_image(client, name, progress)
    maker = _Maker(client, lab_id)
    password = secrets.token_hex(16)
    with asking("make the rig"):
        network, subnet = maker.network()
        postgres_host, toxiproxy_host = (str(subnet[place]) for place in (POSTGRES_PLACE, TOXIPROXY_PLACE))
        volume = maker.volume_at(image)
        postgres = maker.container(
            "postgres",
            image,
            network,
            postgres_host,
            command=["postgres", *_arguments(settings.of(major(version), max_connections))],
            environment={
                # The lab gives the superuser another one as soon as it can: this one may be read off the engine.
                "POSTGRES_PASSWORD": password,
                "POSTGRES_HOST_AUTH_METHOD": "scram-sha-256",
                "POSTGRES_INITDB_ARGS": INITDB,
                "PGDATA": f"{volume}/lab",
            },
            # A volume, not tmpfs, which a stop empties: "restart" would mean "a new, empty server".
            volumes={maker.volume("data"): {"bind": volume, "mode": "rw"}},
            stop_signal="SIGINT",
        )
        postgres.start()
        toxiproxy = maker.container("toxiproxy", TOXIPROXY, network, toxiproxy_host, command=["-host=0.0.0.0"])
    return Containers(
        network, subnet, RigContainer(postgres), RigContainer(toxiproxy), postgres_host, toxiproxy_host, password
    )


def _arguments(told: dict[str, str | int]) -> list[str]:
    # Whoever sets the image up on its socket alone has told it so, and the image listens everywhere by itself.
    kept = {name: value for name, value in told.items() if name != "listen_addresses"}
    return [part for name, value in kept.items() for part in ("-c", f"{name}={value}")]


class _Maker:
    """Makes things that carry the lab's label."""

    def __init__(self, client: docker.DockerClient, lab_id: str) -> None:
        self._client = client
        self._name = f"connection-lab-{lab_id}"
        self._labels = {LABEL: lab_id}

    def network(self) -> tuple[Network, ipaddress.IPv4Network]:
        """A network out of which nothing leads, in a subnet of its own: without one no address can be fixed."""
        for _ in range(ATTEMPTS):
            subnet = self._free_subnet()
            try:
                return self._network(IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))])), subnet
            except APIError as error:
                if "overlaps" not in str(error):
                    raise
        raise ServerNotReady("other networks of the Docker engine take every subnet", "docker network prune")

    def volume(self, what: str) -> str:
        """The name of a new volume."""
        name = f"{self._name}-{what}"
        self._client.volumes.create(name, labels=self._labels)
        return name

    def volume_at(self, image: str) -> str:
        """Where the image wants a volume: there it would otherwise make one that has neither name nor label."""
        declared = self._client.images.get(image).attrs["Config"].get("Volumes") or {DATA: {}}
        return str(next(iter(declared)))

    def container(self, what: str, image: str, network: Network, address: str, **how: Any) -> Container:
        """A new container, not started."""
        name = str(network.name)
        endpoint = self._client.api.create_endpoint_config(ipv4_address=address, aliases=[what])
        return self._client.containers.create(
            image,
            name=f"{self._name}-{what}",
            labels=self._labels,
            network=name,
            networking_config={name: endpoint},
            **how,
        )

    def _free_subnet(self) -> ipaddress.IPv4Network:
        """One that the engine takes itself: it keeps clear of the machine's own networks."""
        probe = self._network(None)
        try:
            probe.reload()
            return ipaddress.IPv4Network(probe.attrs["IPAM"]["Config"][0]["Subnet"])
        finally:
            probe.remove()

    def _network(self, ipam: IPAMConfig | None) -> Network:
        return self._client.networks.create(self._name, driver="bridge", internal=True, labels=self._labels, ipam=ipam)
