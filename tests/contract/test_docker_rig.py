"""The docker rig: the faults' own suite on containers, what the rig says of itself, and what it leaves: nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import docker
import pytest

from fix_docker import belongings
from fix_rig import LabProcess
from lab.errors import BadInput, ServerNotReady, ToolMissing
from lab.fault import FAULTS
from lab.records.plan import FaultSpec, Inject, Plan
from lab.records.variant import Variant
from lab.rig import capabilities, rigs
from lab.rig.docker import reset
from lab.rig.docker.engine import connect
from lab.rig.docker.rig import DockerRig
from lab.rig.machine import route
from lab.rig.site.site import open_site
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.docker, pytest.mark.slow]
GONE_WITHIN = 20.0
"""Seconds; it takes three, two of them to see that nothing more comes."""

StartLab = Callable[[str], LabProcess]
OnDocker = Callable[..., None]

HEAD = """
import time
from lab.rig.docker import containers, rig
from lab.rig.docker.rig import DockerRig

def say(name, value=""):
    print(f"{name}={value}", flush=True)

lab = DockerRig()
say("lab", lab.lab_id)
say("folder", lab.folder)
"""

RUNNING = (
    HEAD
    + """
with lab:
    say("ready")
    time.sleep(60)
"""
)

PAUSED = (
    HEAD
    + """
with lab:
    lab.freeze()
    lab.postgres.postmaster.container.pause()
    say("ready")
    time.sleep(60)
"""
)

UNPLUGGED = (
    HEAD
    + """
with lab:
    lab.toxiproxy.unplug()
    lab.postgres.postmaster.kill()
    say("ready")
    time.sleep(60)
"""
)

# Each moment of the making: the named method, once it has done its work, waits to be killed.
MAKING = (
    HEAD
    + """
original = containers._Maker.NAME
def replaced(*arguments, **named):
    made = original(*arguments, **named)
    say("ready")
    time.sleep(60)
    return made
containers._Maker.NAME = replaced
with lab:
    pass
"""
)


@pytest.fixture(scope="module")
def containers(engine: docker.DockerClient) -> Iterator[DockerRig]:
    """A rig of this module's own."""
    begun = time.monotonic()
    with DockerRig() as rig:
        print(f"up after {time.monotonic() - begun:.1f} s")  # noqa: T201 - read with pytest -s
        yield rig


@pytest.mark.nightly
@pytest.mark.parametrize("module", ["contract", "server", "network", "run"])
def test_suite_of_the_faults_passes_on_containers(module: str, on_docker: OnDocker) -> None:
    on_docker(f"tests/contract/test_fault_{module}.py")


def test_one_fault_of_each_kind_lands_and_heals(on_docker: OnDocker) -> None:
    some = "sever-rst or stall or restart or crash or freeze or read-only or link-down or cut-fin"
    on_docker("tests/contract/test_fault_contract.py", "-k", f"as_often and ({some})")


@pytest.mark.parametrize("program", [RUNNING, PAUSED, UNPLUGGED], ids=["running", "paused", "unplugged"])
def test_killed_lab_leaves_nothing(program: str, engine: docker.DockerClient, lab_process: StartLab) -> None:
    lab = lab_process(program)
    lab.heard("ready")
    assert len(belongings(engine, lab.lab_id)) == 4  # two containers, a volume, a network
    kill_and_wait(lab, engine)


@pytest.mark.parametrize("made", ["_free_subnet", "network", "volume", "container"])
def test_lab_killed_while_it_makes_the_rig_leaves_nothing(
    made: str, engine: docker.DockerClient, lab_process: StartLab
) -> None:
    lab = lab_process(MAKING.replace("NAME", made))
    lab.heard("ready")
    kill_and_wait(lab, engine)


def kill_and_wait(lab: LabProcess, client: docker.DockerClient) -> None:
    lab.kill()
    until = time.monotonic() + GONE_WITHIN
    while belongings(client, lab.lab_id) or lab.folder.exists() or lab.processes():
        assert time.monotonic() < until, (belongings(client, lab.lab_id), lab.folder.exists(), lab.processes())
        time.sleep(0.05)


def test_rig_that_was_closed_has_left_nothing(engine: docker.DockerClient) -> None:
    with DockerRig() as rig:
        assert belongings(engine, rig.lab_id)
    assert not belongings(engine, rig.lab_id)
    assert not rig.folder.exists()


def test_nothing_is_published_and_nothing_leads_out(containers: DockerRig, engine: docker.DockerClient) -> None:
    for name in belongings(engine, containers.lab_id):
        if name.endswith(("-postgres", "-toxiproxy")):
            assert not any(engine.containers.get(name).ports.values())
    (network,) = engine.networks.list(filters={"label": f"connection-lab.lab={containers.lab_id}"})
    network.reload()
    assert network.attrs["Internal"]


def test_password_that_the_engine_knows_is_worth_nothing(containers: DockerRig) -> None:
    told = containers.postgres.postmaster.container.sdk.attrs["Config"]["Env"]
    (first,) = [each.removeprefix("POSTGRES_PASSWORD=") for each in told if each.startswith("POSTGRES_PASSWORD=")]
    with pytest.raises(ServerNotReady, match="password authentication failed"):
        containers.postgres.connect(password=first)


def test_server_has_the_version_that_was_asked_for(containers: DockerRig) -> None:
    found = containers.control().execute("SHOW server_version_num").fetchone()
    assert found is not None
    assert containers.versions()["postgresql"].partition(".")[0] == str(int(found[0]) // 10000)


def test_connections_are_counted_by_what_toxiproxy_prints(containers: DockerRig) -> None:
    with open_site(containers, "counted", ("default",)) as site:
        for number in range(1, 4):
            with site.witness():
                assert site._lines["default"].accepted() == number


def test_reset_arrives_as_reset(containers: DockerRig) -> None:
    assert reset.end_of_reset(containers) == "rst"


def test_way_that_turns_a_reset_into_an_end_is_refused(containers: DockerRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reset, "end_of_reset", lambda _: "fin")
    with pytest.raises(ServerNotReady, match=r"arrives here as FIN.*docker compose"):
        reset.require_reset(containers)


def test_setting_is_forgotten_by_a_server_that_is_not_there(containers: DockerRig) -> None:
    postgres = containers.postgres
    with containers.exclusive():
        containers.control().execute("ALTER SYSTEM SET statement_timeout = '7s'")
        postgres.kill()
        postgres.forget("statement_timeout")
        postgres.start()
        assert containers.control().execute("SHOW statement_timeout").fetchone() == ("0",)


def test_plan_that_needs_loss_is_refused_with_the_rig_that_has_it(containers: DockerRig) -> None:
    variant = Variant(name="stock")
    zygote = Zygote(variant, containers.folder, containers.environ())
    try:
        with pytest.raises(BadInput, match="the docker rig lacks loss; use --rig netns"):
            run(Plan(variant=variant, steps=(Inject(FaultSpec("blackout")),)), containers, zygote)
    finally:
        zygote.close()


def test_every_fault_has_a_rig() -> None:
    assert all(capabilities.capable(FAULTS.get(kind).needs) for kind in FAULTS)


def test_version_is_for_rigs_that_have_several() -> None:
    with pytest.raises(BadInput, match="one PostgreSQL version; use --rig docker"):
        rigs.open_rig("embedded", postgres="17")


@pytest.mark.parametrize("version", ["9.6", "14", "19", "latest", "17;x", "../x"])
def test_version_that_the_lab_does_not_know_is_one_line(version: str) -> None:
    with pytest.raises(BadInput, match="give 15 to 18"):
        DockerRig(postgres=version)


@pytest.mark.parametrize("host", ["unix:///no/such/socket", "tcp://127.0.0.1:1"])
def test_missing_engine_is_one_line(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(ToolMissing, match="start Docker, or set DOCKER_HOST"):
        connect()


def test_way_through_a_router_is_refused(containers: DockerRig) -> None:
    subnet = containers.subnet
    route.require_bridge(containers.host, subnet)
    with pytest.raises(ServerNotReady, match="outside the lab's own network"):
        route.require_bridge("127.0.0.1", subnet)


def test_sessions_come_from_the_lab_alone(containers: DockerRig) -> None:
    with containers.postgres.connect(user="lab_s00") as session:
        address = session.execute("SELECT host(inet_client_addr())").fetchone()
    assert address is not None
    assert str(address[0]) == str(containers.subnet[1])  # the bridge itself: no relay between
