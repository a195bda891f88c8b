"""Where packets to an address would go, asked before any is sent."""

from __future__ import annotations

import ipaddress
import socket

from lab.errors import ServerNotReady

ANY_PORT = 9
IN_THE_NETWORK = "run the lab where the engine is, or in its network: docker compose -f compose/compose.yaml run lab"


def require_loopback(host: str) -> None:
    """Raise `ServerNotReady` unless the way to `host` begins and ends on this machine's loopback."""
    source = _source(host)
    for address in (host, source):
        if not ipaddress.ip_address(address).is_loopback:
            raise ServerNotReady(f"the way to {host} leaves the loopback (it begins at {source})", "use another rig")


def require_bridge(host: str, subnet: ipaddress.IPv4Network) -> None:
    """Raise `ServerNotReady` unless the way to `host` begins inside its own `subnet`: no router lies on it."""
    source = _source(host)
    if ipaddress.ip_address(host) not in subnet or ipaddress.ip_address(source) not in subnet:
        raise ServerNotReady(
            f"the way to {host} begins at {source}, outside the lab's own network {subnet}", IN_THE_NETWORK
        )


def _source(host: str) -> str:
    """The address from which a packet to `host` would be sent."""
    try:
        # Connecting a datagram socket chooses the route and sends nothing.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect((host, ANY_PORT))
            return str(asking.getsockname()[0])
    except OSError as error:
        raise ServerNotReady(f"there is no way to {host}: {error.strerror}", "run lab doctor") from error
