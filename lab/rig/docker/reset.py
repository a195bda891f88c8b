"""Whether a way to containers can carry network faults: a RST must arrive as a RST."""

from __future__ import annotations

from lab.errors import ServerNotReady
from lab.fault import ConnectionState
from lab.rig.machine import process
from lab.rig.machine.route import IN_THE_NETWORK
from lab.rig.protocol import RigProtocol
from lab.rig.site.site import open_site

ARRIVES_WITHIN = 2.0


def end_of_reset(rig: RigProtocol) -> ConnectionState:
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
