"""The Docker engine: the way to it, and its errors in the lab's words."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import requests
from docker.errors import DockerException, ImageNotFound

from lab.errors import ServerNotReady, ToolMissing
from lab.rig.toxiproxy.binary import Notify

LABEL = "connection-lab.lab"
"""The label, with the lab's id as its value, of whatever a lab makes on the engine."""

UNIX = "unix://"
SOCKET = f"{UNIX}/var/run/docker.sock"
CALL_TIMEOUT = 60
"""Seconds for one call; the slowest, on a busy machine, took 3."""

REMEDY = "start Docker, or set DOCKER_HOST; the default rig needs neither (--rig embedded)"


def connect() -> docker.DockerClient:
    """A client of the engine that $DOCKER_HOST names, else of this machine's. Raises `ToolMissing`."""
    host = os.environ.get("DOCKER_HOST") or SOCKET
    try:
        if host.startswith(UNIX):
            # docker-py forgets to close the socket of an engine that is not there.
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
                trial.connect(host.removeprefix(UNIX))
        client = docker.from_env(timeout=CALL_TIMEOUT)
    except OSError as error:
        raise ToolMissing(f"no Docker engine at {host}: {error.strerror}", REMEDY) from error
    except DockerException as error:
        raise ToolMissing(f"no Docker engine can be asked at {host}: {error}", REMEDY) from error
    try:
        client.ping()
    except (DockerException, requests.RequestException) as error:
        client.close()
        raise ToolMissing(f"the Docker engine at {host} does not answer ({type(error).__name__})", REMEDY) from error
    return client


@contextmanager
def asking(what: str) -> Iterator[None]:
    """What the engine refuses in the block, or does not answer, is a `ServerNotReady` that says `what` it was about."""
    try:
        yield
    except (DockerException, requests.RequestException) as error:
        said = getattr(error, "explanation", None) or error
        raise ServerNotReady(f"the Docker engine: {what}: {said}", "run lab doctor") from error


def have_image(client: docker.DockerClient, name: str, progress: Notify) -> None:
    """Fetch an image that is not there. Raises `ToolMissing`."""
    try:
        client.images.get(name)
        return
    except ImageNotFound:
        progress(f"fetching the image {name}")
    except (DockerException, requests.RequestException) as error:
        raise ToolMissing(f"the Docker engine does not tell whether it has {name}: {error}", REMEDY) from error
    try:
        client.images.pull(name)
    except (DockerException, requests.RequestException) as error:
        said = getattr(error, "explanation", None) or error
        raise ToolMissing(f"no image {name}: {said}", f"check the version, then docker pull {name}") from error
