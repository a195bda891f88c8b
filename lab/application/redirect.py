"""The way to the database: straight for the lab, through the tap for everybody else.

Only connections to the databases of this test are led through the tap, whatever thread makes them, by changing what
`get_connection_params` of their wrapper's class returns; `settings_dict` stays as the project has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from lab.wire.tap import Upstream

LOOPBACK: Final = "127.0.0.1"
_ELSEWHERE: Final = ("service", "servicefile", "passfile", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir")
"""Parameters that say where the server is, or how to encrypt the way to it."""


def straight(alias: str) -> BaseDatabaseWrapper:
    """Another wrapper of that alias for the lab alone: no pool, no end of its connection, and not yet connected."""
    wrapper = connections.create_connection(alias)
    settings = deepcopy(connections[alias].settings_dict)
    settings["OPTIONS"] = {
        key: value for key, value in settings.get("OPTIONS", {}).items() if key not in ("pool", "isolation_level")
    }
    settings.update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=False, ATOMIC_REQUESTS=False, AUTOCOMMIT=True)
    wrapper.settings_dict = settings
    return wrapper


def upstream_of(wrapper: BaseDatabaseWrapper) -> Upstream:
    """Where a connected wrapper's server is, environment, service and password files resolved by the driver."""
    info = wrapper.connection.info
    if info.host.startswith(("/", "@")):
        return f"{info.host.replace('@', chr(0), 1)}/.s.PGSQL.{info.port}"
    return (info.host or LOOPBACK, int(info.port))


class Redirect:
    """Leads the connections of `aliases` to ports of the tap, once `to` has named them. `apart` are the lab's own."""

    def __init__(self, straights: Mapping[str, BaseDatabaseWrapper], apart: set[int]) -> None:
        self._apart = apart
        self._ports: dict[str, int] = {}
        self._secrets = {alias: _secret(wrapper) for alias, wrapper in straights.items()}
        self._names = {alias: wrapper.settings_dict["NAME"] for alias, wrapper in straights.items()}

    def to(self, ports: Mapping[str, int]) -> None:
        """From now on connections of these aliases go to these ports of loopback; of others, where they always went."""
        self._ports = dict(ports)

    @contextmanager
    def patched(self) -> Iterator[Redirect]:
        """While it lasts, in every thread."""
        classes: set[Any] = {type(connections[alias]) for alias in self._names}
        originals = [(each, each.__dict__.get("get_connection_params")) for each in classes]
        for each in classes:
            self._patch(each)
        try:
            yield self
        finally:
            self._ports = {}
            for each, original in originals:
                if original is None:
                    del each.get_connection_params
                else:
                    each.get_connection_params = original

    def _patch(self, owner: Any) -> None:
        original = owner.get_connection_params

        def get_connection_params(wrapper: Any) -> dict[str, Any]:
            params: dict[str, Any] = original(wrapper)
            port = self._ports.get(wrapper.alias)
            ours = port is not None and id(wrapper) not in self._apart
            if ours and wrapper.settings_dict["NAME"] == self._names[wrapper.alias]:
                return {**_without_place(params), **self._secrets[wrapper.alias], **_loopback(port or 0)}
            return params

        owner.get_connection_params = get_connection_params


def _secret(wrapper: BaseDatabaseWrapper) -> dict[str, str]:
    info = wrapper.connection.info
    return {key: value for key, value in (("user", info.user), ("password", info.password)) if value}


def _without_place(params: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in params.items() if key not in _ELSEWHERE}


def _loopback(port: int) -> dict[str, Any]:
    """Every parameter that an environment variable could give another value."""
    found = {"host": LOOPBACK, "hostaddr": LOOPBACK, "port": port, "sslmode": "disable", "gssencmode": "disable"}
    if "PGSSLNEGOTIATION" in os.environ:
        found["sslnegotiation"] = "postgres"
    if "PGCHANNELBINDING" in os.environ:
        found["channel_binding"] = "prefer"
    return found


def close_clients(aliases: Iterable[str]) -> None:
    """Close this thread's connections of these aliases and their pools; a wrapper that a case has left in a state that
    close does not mend is thrown away.
    """
    for alias in aliases:
        wrapper: Any = connections[alias]
        try:
            wrapper.close()
        except Exception:  # noqa: BLE001  # of a connection that a cut has ended, whatever the driver says of it
            del connections[alias]
        else:
            if wrapper.in_atomic_block or wrapper.connection is not None:
                del connections[alias]
        if wrapper.settings_dict.get("OPTIONS", {}).get("pool"):
            wrapper.close_pool()
