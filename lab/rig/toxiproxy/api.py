"""toxiproxy-python with what it lacks: a deadline on every call and an error for every answer that is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
import toxiproxy.api
from toxiproxy.api import APIConsumer

from lab.errors import ProxyLost
from lab.timing import CALL

IDLE_LIMIT = 20.0
"""Seconds after which a kept connection is not used again: the server closes idle ones on its side."""

REMEDY = "the server is replaced and the case is void"

_LOCK = threading.RLock()


class Transport:
    """Stands where toxiproxy-python expects the module `requests`."""

    def __init__(self, timeout: float | None = None) -> None:
        self.timeout = CALL.seconds if timeout is None else timeout
        self._session = _new_session()
        self._used = time.monotonic()

    def get(self, url: str, **arguments: Any) -> requests.Response:
        """GET; raises `ProxyLost` instead of waiting for ever or returning an error of the server (5xx)."""
        return self._call("GET", url, **arguments)

    def post(self, url: str, **arguments: Any) -> requests.Response:
        """POST, as `get`."""
        return self._call("POST", url, **arguments)

    def delete(self, url: str, **arguments: Any) -> requests.Response:
        """DELETE, as `get`."""
        return self._call("DELETE", url, **arguments)

    def renew(self) -> None:
        """Forget the kept connection."""
        self._session.close()
        self._session = _new_session()

    def _call(self, method: str, url: str, **arguments: Any) -> requests.Response:
        if time.monotonic() - self._used > IDLE_LIMIT:
            self.renew()
        self._used = time.monotonic()
        try:
            response = self._session.request(method, url, timeout=self.timeout, allow_redirects=False, **arguments)
        except requests.RequestException as error:
            # Its answer may still come: on a kept connection it would be taken for the next call's.
            self.renew()
            raise ProxyLost(f"Toxiproxy did not answer {method} {url}: {type(error).__name__}", REMEDY) from error
        # 503 is a wedged server, 500 a port that somebody took; 403 is nothing that we ever ask for.
        if response.status_code >= 500 or response.status_code == 403:
            said = response.text[:200]
            raise ProxyLost(f"Toxiproxy answered {method} {url} with {response.status_code}: {said}", REMEDY)
        return response


class Api:
    """The address and transport of one server. toxiproxy-python keeps both as class-level state: we lend it ours."""

    def __init__(self, host: str, port: int, timeout: float | None = None) -> None:
        self.host = host
        self.port = port
        self.transport = Transport(timeout)

    @contextmanager
    def __call__(self) -> Iterator[type[APIConsumer]]:
        """For the length of the block this thread alone uses toxiproxy-python, and it talks to this server."""
        with _LOCK:
            toxiproxy.api.requests = self.transport
            APIConsumer.host, APIConsumer.port = self.host, self.port
            yield APIConsumer


def _new_session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a proxy variable of the environment is not meant for loopback
    return session
