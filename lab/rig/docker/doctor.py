"""What `lab doctor` asks of the Docker engine."""

from __future__ import annotations

import docker
from docker.errors import ImageNotFound

from lab.rig.docker import compose
from lab.rig.docker.containers import TOXIPROXY, chosen_version
from lab.rig.docker.engine import asking, connect


def available() -> tuple[str, list[str]]:
    """The engine's version, and the images that the rig would have to fetch. Raises `ToolMissing`."""
    client = connect()
    try:
        wanted = [] if compose.shared() else [f"postgres:{chosen_version()}", TOXIPROXY]
        with asking("version"):
            return str(client.version()["Version"]), [name for name in wanted if not _has(client, name)]
    finally:
        client.close()


def _has(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True
