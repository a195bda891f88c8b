"""Whether a way to containers can carry network faults: a RST must arrive as a RST."""

from __future__ import annotations

import docker
from docker.errors import ImageNotFound

from lab.errors import ServerNotReady
from lab.fault import End
from lab.rig import docker_compose, process
from lab.rig.docker_engine import asking, connect
from lab.rig.docker_site import TOXIPROXY, chosen_version
from lab.rig.protocol import RigProtocol
from lab.rig.route import IN_THE_NETWORK
from lab.rig.site import open_site

ARRIVES_WITHIN = 2.0


def end_of_reset(rig: RigProtocol) -> End:
    """How a connection ends here that Toxiproxy resets: with "rst", unless something between ends TCP."""
    with open_site(rig, "self-test", ("default",)) as site:
        site.link.arm_reset()
        with site.witness() as end:
            site.link.cut()
            process.wait_until(lambda: end() != "open", ARRIVES_WITHIN)
            return end()


def require_reset(rig: RigProtocol) -> None:
    """Raise `ServerNotReady` where network faults would be void."""
    if (end := end_of_reset(rig)) != "rst":
        seen = "as FIN" if end == "fin" else f"as nothing ({end})"
        raise ServerNotReady(
            f"a RST from the lab's containers arrives here {seen}: something between ends TCP, and every network fault "
            "would be void",
            IN_THE_NETWORK,
        )


def engine() -> tuple[str, list[str]]:
    """The engine's version, and the images that the rig would have to fetch. Raises `ToolMissing`."""
    client = connect()
    try:
        wanted = [] if docker_compose.shared() else [f"postgres:{chosen_version()}", TOXIPROXY]
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
