"""toxiproxy-python with what it lacks: a deadline on every call and an error for every answer that is none."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import toxiproxy.api
from toxiproxy.api import APIConsumer

from lab.errors import ProxyLost
from lab.timing import CALL

IDLE_LIMIT = 20.0
"""Seconds after which a kept connection is not used again: the server closes idle ones on its side."""

REMEDY = "the server is replaced and the case is void"

_LOCK = threading.RLock()


class Answer(NamedTuple):
    """What toxiproxy-python reads of a response."""

    status_code: int
    content: bytes

    def json(self) -> Any:
        """The content as data."""
        return json.loads(self.content)


class Transport:
    """Stands where toxiproxy-python expects the module `requests`, at less than half of its cost.

    One connection is kept. A proxy variable of the environment is not looked at: none is meant for loopback.
    """

    def __init__(self, host: str, port: int, timeout: float | None = None) -> None:
        self.timeout = CALL.seconds if timeout is None else timeout
        self._connection = HTTPConnection(host, port, timeout=self.timeout)
        self._used = time.monotonic()

    def get(self, url: str, **arguments: Any) -> Answer:
        """GET; raises `ProxyLost` instead of waiting for ever or returning an error of the server (5xx)."""
        return self._call("GET", url, **arguments)

    def post(self, url: str, **arguments: Any) -> Answer:
        """POST, as `get`."""
        return self._call("POST", url, **arguments)

    def delete(self, url: str, **arguments: Any) -> Answer:
        """DELETE, as `get`."""
        return self._call("DELETE", url, **arguments)

    def renew(self) -> None:
        """Forget the kept connection."""
        self._connection.close()
        self._connection = HTTPConnection(self._connection.host, self._connection.port, timeout=self.timeout)

    def _call(
        self, method: str, url: str, *, json: Any = None, headers: dict[str, str] | None = None, **_: Any
    ) -> Answer:
        if time.monotonic() - self._used > IDLE_LIMIT:
            self.renew()
        self._used = time.monotonic()
        try:
            self._connection.request(method, urlsplit(url).path, body=_body(json), headers=headers or {})
            response = self._connection.getresponse()
            content = response.read()
        except BaseException as error:  # Ctrl-C too
            # Its answer may still come: on a kept connection it would be taken for the next call's.
            self.renew()
            if not isinstance(error, OSError | HTTPException):
                raise
            raise ProxyLost(f"Toxiproxy did not answer {method} {url}: {type(error).__name__}", REMEDY) from error
        # 503 is a wedged server, 500 a port that somebody took; 403 is nothing that we ever ask for.
        if response.status >= 500 or response.status == 403:
            said = content[:200].decode(errors="replace")
            raise ProxyLost(f"Toxiproxy answered {method} {url} with {response.status}: {said}", REMEDY)
        return Answer(response.status, content)


class Api:
    """The address and transport of one server. toxiproxy-python keeps both as class-level state: we lend it ours."""

    def __init__(self, host: str, port: int, timeout: float | None = None) -> None:
        self.host = host
        self.port = port
        self.transport = Transport(host, port, timeout)

    @contextmanager
    def __call__(self) -> Iterator[type[APIConsumer]]:
        """For the length of the block this thread alone uses toxiproxy-python, and it talks to this server."""
        with _LOCK:
            toxiproxy.api.requests = self.transport
            APIConsumer.host, APIConsumer.port = self.host, self.port
            yield APIConsumer


def _body(data: Any) -> bytes | None:
    return None if data is None else json.dumps(data).encode()
