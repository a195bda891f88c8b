"""Removes whatever a lab leaves on the Docker engine, however the lab ended. Runs as a script, in a session of its own.

    python docker_reaper.py LAB_ID PIDFD LABEL

The guardian's counterpart (guardian.py, which says how the end of a lab is noticed): everything that carries the label
with the lab's id goes, containers with their nameless volumes first, then volumes and networks. A normal close takes
the same way.

This file imports nothing of the lab: it must not break with it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import docker
import requests
from docker.errors import DockerException
from docker.models.containers import Container
from docker.models.networks import Network

T = TypeVar("T")
INTERVAL = 0.1
QUIET = 2.0
"""Seconds without a find after which a killed lab has left nothing: what it asked for may still be in the making."""

PATIENCE = 60
"""Seconds after which the reaper gives up."""


def main(arguments: list[str]) -> None:
    """Wait for the end of the lab, then sweep."""
    lab_id, pidfd, label = arguments
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(name, signal.SIG_IGN)
    client = docker.from_env(timeout=PATIENCE)
    with suppress(OSError):  # a lab that is dead already hears nothing, and needs us all the more
        os.write(1, b"armed\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    killed = _wait_for_end(int(pidfd))
    sweep(client, f"{label}={lab_id}", QUIET if killed else 0.0)


def sweep(client: docker.DockerClient, label: str, quiet: float = 0.0, patience: float = PATIENCE) -> bool:
    """Remove everything with that label, again and again until nothing is found for `quiet` seconds (True).

    False after `patience` seconds.
    """
    now = time.monotonic()
    deadline, last = now + patience, now
    while time.monotonic() < deadline:
        try:
            found = _remove(client, label)
        except (DockerException, requests.RequestException):
            found = 1  # the engine is busy or restarts: it may come back
        if found:
            last = time.monotonic()
        elif time.monotonic() - last >= quiet:
            return True
        time.sleep(INTERVAL)
    return False


def _wait_for_end(pidfd: int) -> bool:
    """Whether it is the lab that ended, and not only its wish for us."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    if pidfd < 0:
        poll.poll()
        return True
    poll.register(pidfd, select.POLLIN)
    poll.poll()
    poll.unregister(0)
    return bool(poll.poll(0))


def _remove(client: docker.DockerClient, label: str) -> int:
    """Remove what is there now; return how much that was."""
    only: dict[str, str | list[str] | bool] = {"label": label}
    containers = client.containers.list(all=True, filters=only, ignore_removed=True)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(_remove_container, containers))
    volumes = client.volumes.list(filters=only)
    _each(lambda volume: volume.remove(force=True), volumes)
    networks = client.networks.list(filters=only)
    _each(_remove_network, networks)
    return len(containers) + len(volumes) + len(networks)


def _remove_container(container: Container) -> None:
    _each(lambda one: one.remove(force=True, v=True), [container])


def _remove_network(network: Network) -> None:
    network.reload()
    for container in network.containers:  # somebody else's, who came to look
        network.disconnect(container, force=True)
    network.remove()


def _each(deed: Callable[[T], object], things: Iterable[T]) -> None:
    for thing in things:
        with suppress(DockerException):  # gone already, or not yet to be had: the next look tells
            deed(thing)


if __name__ == "__main__":
    main(sys.argv[1:])
