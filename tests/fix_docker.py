"""Tests on containers: skipped, with the reason, where no Docker engine answers or its images cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from lab.errors import LabError
from lab.rig.docker.containers import TOXIPROXY, chosen_version
from lab.rig.docker.engine import LABEL, connect, have_image

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 900.0


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The engine, with the images that $LAB_POSTGRES_VERSION (else the newest version) needs."""
    try:
        client = connect()
        for name in (f"postgres:{chosen_version()}", TOXIPROXY):
            have_image(client, name, lambda _: None)
    except LabError as refusal:
        pytest.skip(f"the docker rig: {refusal}")
    yield client
    client.close()


def belongings(client: docker.DockerClient, lab_id: str = "") -> list[str]:
    """The names of all that labs, or that one lab, have on the engine."""
    label = f"{LABEL}={lab_id}" if lab_id else LABEL
    return [
        *(str(one.name) for one in client.containers.list(all=True, filters={"label": label}, ignore_removed=True)),
        *(str(one.name) for one in client.volumes.list(filters={"label": label})),
        *(str(one.name) for one in client.networks.list(filters={"label": label})),
    ]


@pytest.fixture
def on_docker(engine: docker.DockerClient) -> Callable[..., None]:
    """Run tests with LAB_RIG=docker, in a pytest of their own; fails unless all of them pass."""

    def run(*arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "", *arguments],
            cwd=ROOT,
            env={**os.environ, "LAB_RIG": "docker"},
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]

    return run
