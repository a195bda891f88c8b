"""The compose project: what a person with Docker alone types."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from lab.rig.docker.containers import chosen_version
from lab.rig.docker.engine import SOCKET, UNIX

ROOT = Path(__file__).resolve().parents[2]
FILES = ("compose.yaml", "publish.yaml")
PROJECT = f"lab-test-{secrets.token_hex(4)}"
BUILD_DEADLINE, DEADLINE = 900.0, 300.0

Compose = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def command(*arguments: str, files: tuple[str, ...] = FILES[:1]) -> list[str]:
    chosen = [part for file in files for part in ("-f", str(ROOT / "compose" / file))]
    return ["docker", "compose", "-p", PROJECT, *chosen, *arguments]


def run(environ: dict[str, str], *arguments: str, deadline: float = DEADLINE) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments),
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=deadline,
    )
    assert done.returncode in (0, 1, 2, 254, 255), done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def plugin() -> None:
    if shutil.which("docker") is None:
        pytest.skip("docker compose: no docker command on PATH")
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, text=True, check=False)
    if asked.returncode:
        pytest.skip("docker compose: the docker command has no compose plugin")


@pytest.fixture(scope="module")
def compose(engine: docker.DockerClient, plugin: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """The project under a name and in a subnet of its own, gone at the end."""
    environ = {
        "LAB_SUBNET_PREFIX": "172.31.253",
        "LAB_POSTGRES_VERSION": chosen_version(),
        "LAB_STORE": str(tmp_path_factory.mktemp("store")),
        "LAB_DOCKER_SOCKET": (os.environ.get("DOCKER_HOST") or SOCKET).removeprefix(UNIX),
    }
    built = run(environ, "build", "-q", "lab", deadline=BUILD_DEADLINE)
    if built.returncode:
        pytest.skip(f"docker compose: the lab's image cannot be built here: {built.stderr[-200:]}")
    yield lambda *arguments: run(environ, *arguments)
    run(environ, "down", "--volumes", "--timeout", "1")


@pytest.mark.parametrize("files", [FILES[:1], FILES])
def test_compose_files_are_valid(files: tuple[str, ...], plugin: None) -> None:
    done = subprocess.run(command("config", "-q", files=files), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_is_published_unless_asked_for_and_then_on_loopback(plugin: None) -> None:
    plain = subprocess.run(command("config"), capture_output=True, text=True, check=True).stdout
    assert "published:" not in plain
    added = subprocess.run(command("config", files=FILES), capture_output=True, text=True, check=True).stdout
    assert added.count("published:") == added.count("host_ip: 127.0.0.1") == 2


@pytest.mark.nightly
def test_doctor_finds_all_that_the_service_needs(compose: Compose) -> None:
    done = compose("run", "--rm", "lab", "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a RST arrives as RST" in done.stdout


@pytest.mark.nightly
def test_service_judges_a_variant(compose: Compose) -> None:
    done = compose("run", "--rm", "lab", "check", "django_per_request", "--promise", "recovers", "--budget", "60")
    assert done.returncode in (0, 2), done.stdout + done.stderr
    assert "recovers" in done.stdout


@pytest.mark.nightly
def test_version_is_composes_to_choose(compose: Compose) -> None:
    done = compose("run", "--rm", "lab", "matrix", "--postgres", "16", "django_per_request")
    assert done.returncode == 254
    assert "compose has one PostgreSQL version; set LAB_POSTGRES_VERSION" in done.stderr


@pytest.mark.nightly
def test_second_lab_is_refused_and_a_killed_one_leaves_servers_that_work(
    compose: Compose, engine: docker.DockerClient
) -> None:
    program = (
        "from lab.rig.rigs import open_rig\n"
        "with open_rig('docker') as rig:\n"
        "    rig.control().execute('ALTER SYSTEM SET default_transaction_read_only = on')\n"
        "    rig.toxiproxy.unplug(); rig.freeze(); print('ready', flush=True); import time; time.sleep(600)\n"
    )
    name = f"{PROJECT}-held"
    compose("run", "-d", "--name", name, "--entrypoint", "python", "lab", "-c", program)
    held = engine.containers.get(name)
    until = time.monotonic() + 60
    while b"ready" not in held.logs():
        assert time.monotonic() < until, held.logs().decode()
        time.sleep(0.1)
    refused = compose("run", "--rm", "--no-deps", "lab", "check", "django_per_request")
    assert "another lab uses these servers" in refused.stderr
    assert refused.returncode == 255
    held.remove(force=True)
    assert compose("run", "--rm", "--no-deps", "lab", "doctor").returncode == 0
