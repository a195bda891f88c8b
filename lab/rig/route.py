"""Where packets to an address would go, asked before any is sent."""

from __future__ import annotations

import ipaddress
import socket

from lab.errors import ServerNotReady

ANY_PORT = 9


def require_loopback(host: str) -> None:
    """Raise `ServerNotReady` unless the way to `host` begins and ends on this machine's loopback."""
    try:
        # Connecting a datagram socket chooses the route and sends nothing.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect((host, ANY_PORT))
            source = asking.getsockname()[0]
    except OSError as error:
        raise ServerNotReady(f"there is no way to {host}: {error.strerror}", "run lab doctor") from error
    for address in (host, source):
        if not ipaddress.ip_address(address).is_loopback:
            raise ServerNotReady(f"the way to {host} leaves the loopback (it begins at {source})", "use another rig")
