"""The pages of a store over HTTP, to this machine alone: read only, drawn anew at each request.

What a stranger's page in the same browser could try is refused: another host's name (DNS rebinding), another origin,
being shown in a frame. Nothing that the store holds is executed: pages hold no script, and the policy forbids them.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from lab.errors import BadInput
from lab.explore.threads import raise_lost_interrupt
from lab.report.pages.site import PLAIN, Answer, answer

LOOPBACK = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost")
PATIENCE = 10.0
"""Seconds that a client has for its request."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        super().__init__((LOOPBACK, port), _Handler)

    @property
    def names(self) -> frozenset[str]:
        """What a request may call this server in `Host`."""
        return frozenset(f"{name}:{self.server_port}" for name in NAMES)

    def service_actions(self) -> None:
        """Called by serve_forever() twice a second."""
        raise_lost_interrupt()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is nobody's matter."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "lab"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout: ClassVar[float] = PATIENCE

    def do_GET(self) -> None:
        """A page."""
        self._send(self._answer())

    def do_HEAD(self) -> None:
        """The same without its body."""
        self._send(self._answer())

    def _answer(self) -> Answer:
        if self.headers.get_all("Host", []) not in ([name] for name in self.server.names):
            return Answer(421, PLAIN, b"this server answers to 127.0.0.1 and localhost only\n")
        if self._foreign():
            return Answer(403, PLAIN, b"another origin asks\n")
        return answer(self.server.root, urlsplit(self.path).path)

    def _foreign(self) -> bool:
        """Whether a page of another origin asks; following a link from there is allowed."""
        origin = self.headers.get("Origin")
        if origin is not None and origin not in {f"http://{name}" for name in self.server.names}:
            return True
        site = self.headers.get("Sec-Fetch-Site", "none")
        return site not in ("none", "same-origin") and self.headers.get("Sec-Fetch-Mode") != "navigate"

    def _send(self, sent: Answer) -> None:
        self.send_response(sent.status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", sent.kind)
        self.send_header("Content-Length", str(len(sent.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What cannot be answered, without a word of the request in it."""
        self.close_connection = True
        if not hasattr(self, "command"):
            self.command = ""
        self._send(Answer(code, PLAIN, b"that is no request for this server\n"))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing: a request's line is a stranger's text."""


@contextmanager
def listening(root: Path, port: int) -> Iterator[ThreadingHTTPServer]:
    """A server that is bound and not yet served; port 0 takes a free one. Raises BadInput when it cannot be had."""
    try:
        server = _Server(root, port)
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "is taken" if taken else f"cannot be had: {getattr(error, 'strerror', None) or error}"
        raise BadInput(f"port {port} of {LOOPBACK} {why}", "choose another with --port, or 0 for any") from None
    try:
        yield server
    finally:
        server.server_close()
