"""Campaigns on real workers: processes with a rig each, one of which is killed, refused, or stopped."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from fix_cli import Lab
from fix_terminal import Terminal
from lab.campaign import cluster as module
from lab.campaign.campaign import run_campaign
from lab.campaign.cluster import Cluster, workers
from lab.campaign.keeping import VERDICTS, Settings, open_campaign
from lab.campaign.progress import Silent
from lab.campaign.slices import Cases, Slice
from lab.campaign.verdicts import Found, conclude
from lab.campaign.worker import about_process
from lab.check.variants import find
from lab.edition import edition
from lab.errors import LabError
from lab.records.codec import encode
from lab.rig.machine import cache, process
from lab.rig.machine.environments import Environment

pytestmark = [pytest.mark.chaos, pytest.mark.slow]


def settings(cases: int) -> Settings:
    return Settings(edition=edition(), variants=(find("published_threadlocal"),), kinds=("bytes",), cases=cases)


def ran(root: Path, cluster: Cluster, cases: int, **options: Any) -> Found:
    store = open_campaign(root, settings(cases))
    run_campaign(settings(cases), store, cluster, Silent(), **options)
    return conclude(store)


def rigs(cluster: Cluster) -> dict[int, str]:
    """The rig of each worker that has one, by the worker's pid."""
    said = cluster.client.run(about_process, on_error="ignore")
    return {pid: rig for pid, _, rig in said.values() if rig}


def left_over(lab_ids: set[str]) -> list[str]:
    """The processes of these rigs that there are."""
    found = []
    for each in psutil.process_iter(["cmdline"]):
        try:
            if each.environ().get(process.LAB_ID) in lab_ids:
                found.append(" ".join(each.info["cmdline"]))
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def two() -> Iterator[Cluster]:
    with workers(2, lambda line: None) as cluster:
        yield cluster


def test_a_killed_worker_costs_its_slice_alone_and_leaves_no_server(two: Cluster, tmp_path: Path) -> None:
    """The slice is run again elsewhere, the result is as if nothing had been."""
    killed: dict[int, str] = {}

    def kill(piece: Slice[Any], _result: Any) -> None:
        if isinstance(piece, Cases) and not killed:
            busy = [address for address, keys in two.client.processing().items() if keys]
            said = two.client.run(about_process, workers=busy)
            pid, _, rig = next(iter(said.values()))
            killed[pid] = rig
            os.kill(pid, signal.SIGKILL)

    undisturbed = ran(tmp_path / "a", two, 24)
    disturbed = ran(tmp_path / "b", two, 24, ended=kill)
    assert killed
    assert encode(disturbed) == encode(undisturbed)
    (variant,) = disturbed.variants
    assert (variant.kinds["bytes"].cases, variant.verdict) == (24, "broken")
    gone = process.wait_until(lambda: not left_over(set(killed.values())), 20.0)
    assert gone, left_over(set(killed.values()))
    assert killed.keys().isdisjoint(rigs(two))
    mine = set(rigs(two).values())
    two.leave()  # as where the workers stay: their servers do not
    assert process.wait_until(lambda: not left_over(mine), 20.0), left_over(mine)


def test_workers_listen_on_loopback_and_take_code_from_nobody_else(two: Cluster) -> None:
    pids = [os.getpid(), *(pid for pid, _, _ in two.client.run(about_process).values())]
    listening = [
        each.laddr
        for pid in pids
        for each in psutil.Process(pid).net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 4, "the scheduler, its dashboard, two workers"
    assert {ip for ip, _ in listening} == {"127.0.0.1"}
    scheduler = re.fullmatch(r"tls://127\.0\.0\.1:(\d+)", two.client.scheduler.address)
    assert scheduler
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", int(scheduler[1])), 5.0) as plain,
        pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
        stranger.wrap_socket(plain) as encrypted,
    ):
        encrypted.recv(1)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(module, "ALONE", 1.0)
    return []


def test_a_worker_with_another_lab_is_refused_by_name(
    alone: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "edition", lambda: "0.1.0+000000000000")
    with workers(1, alone.append) as cluster, pytest.raises(LabError, match="no worker may work; start one"):
        ran(tmp_path, cluster, 8)
    (line,) = alone
    assert re.match(r"worker 0 at tls://127\.0\.0\.1:\d+ is refused: it has the lab ", line)
    assert "the campaign is by 0.1.0+000000000000: install the same one there" in line


def test_a_worker_without_postgresql_is_refused_by_name(
    alone: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAB_PG_BINDIR", "/nonexistent")
    with workers(1, alone.append) as cluster, pytest.raises(LabError, match="no worker may work"):
        ran(tmp_path, cluster, 8)
    (line,) = alone
    assert "worker 0 at tls://127.0.0.1:" in line
    assert "/nonexistent" in line


def test_a_worker_that_lacks_an_environment_and_must_not_make_it_is_refused_by_name(
    alone: list[str], tmp_path: Path
) -> None:
    with workers(1, alone.append) as cluster:
        cluster.environments, cluster.offline = (Environment("1.0", "3.11"),), True
        with pytest.raises(LabError, match="no worker may work"):
            ran(tmp_path, cluster, 8)
    (line,) = alone
    assert re.match(r"worker 0 at tls://127\.0\.0\.1:\d+ is refused: ", line)
    assert "there is no environment with Django 1.0, Python 3.11 yet" in line


@pytest.mark.nightly
def test_versions_are_compared_by_any_number_of_workers_and_it_goes_on(lab_command: Lab, tmp_path: Path) -> None:
    """COPY by execute() is what psycopg 3 does not do."""
    command = ("campaign", "django_per_request", "--django", "5.2", "--driver", "psycopg2,psycopg", "--yes")
    texts = set()
    for number in (1, 2):
        store = tmp_path / str(number)
        done = lab_command(*command, "--workers", str(number), "--store", str(store), timeout=1800.0)
        assert done.returncode in (0, 1, 2), done.stderr
        assert "differs: django_per_request, works-unfaulted, works-unfaulted: COPY by execute(): " in done.stdout
        texts.add((store / VERDICTS).read_bytes())
    assert len(texts) == 1
    again = lab_command(*command, "--workers", "2", "--store", str(tmp_path / "2"), timeout=300.0)
    assert (tmp_path / "2" / VERDICTS).read_bytes() in texts
    (plan,) = (tmp_path / "2" / "differences").glob("*works-unfaulted-COPY-by-execute*.json")
    assert f"lab replay {plan.relative_to(tmp_path)}" in again.stdout
    replayed = lab_command("replay", str(plan), timeout=120.0)
    assert "1 of 1 runs show what the plan expects" in replayed.stdout, replayed


@pytest.mark.nightly
def test_ctrl_c_in_a_campaign_over_versions_keeps_what_there_is_and_leaves_nothing(
    terminal: Terminal, tmp_path: Path
) -> None:
    """The same command goes on from there, and comes to what a campaign does that nobody has stopped."""
    command = (
        *("campaign", "django_per_request", "--django", "5.2", "--driver", "psycopg2,psycopg", "--yes"),
        *("--cases", "80", "--workers", "2"),
    )
    lab = terminal(*command)
    lab.until(" is a limit")
    started = psutil.Process(lab.pid).children(recursive=True)
    assert any("postgres" in each.name() for each in started)
    lab.type("\x03")
    assert lab.status() == 130
    assert "Traceback" not in lab.seen
    assert "the same command goes on from there" in lab.seen
    gone = process.wait_until(lambda: not [each for each in started if each.is_running()], 20.0)
    assert gone, [each for each in started if each.is_running()]
    kept = sum(path.read_bytes().count(b"\n") for path in tmp_path.rglob("done.jsonl"))
    assert kept > 2, "more than the first line of each corner's ledger"
    again, undisturbed = terminal(*command), terminal(*command, "--store", str(tmp_path / "undisturbed"))
    assert (again.status(), undisturbed.status()) == (0, 0), again.seen  # what is broken are limits of Django
    (stopped,) = (tmp_path / "store").rglob(VERDICTS)
    assert stopped.read_bytes() == (tmp_path / "undisturbed" / VERDICTS).read_bytes()


@pytest.mark.nightly
def test_a_worker_killed_while_it_makes_an_environment_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The one that takes its place makes it anew: neither half of it is left, nor what was making it."""
    for each in (*cache.folder().glob("template-*"), *cache.folder().glob("toxiproxy-*")):
        (tmp_path / "connection-lab").mkdir(mode=0o700, exist_ok=True)
        (tmp_path / "connection-lab" / each.name).symlink_to(each)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    stages, wanted = cache.folder() / "stage", Environment("5.2", f"{sys.version_info[0]}.{sys.version_info[1]}")
    left: dict[int, list[str]] = {}

    def making(pid: int) -> list[str]:
        found = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
        return [each for each in found if str(stages / f"pid-{pid}" / wanted.key) in each]

    def kill(pid: int) -> None:
        installing = stages / f"pid-{pid}" / wanted.key / "env" / "bin" / "python"
        if process.wait_until(lambda: installing.exists() and bool(making(pid)), 60.0):
            os.kill(pid, signal.SIGKILL)
            process.wait_until(lambda: not making(pid), 0.3)  # the rest of it would take longer
            left[pid] = making(pid)

    said: list[str] = []
    with workers(1, said.append) as cluster:
        cluster.environments = (wanted,)
        (worker,) = (pid for pid, _, _ in cluster.client.run(about_process).values())
        killer = threading.Thread(target=kill, args=(worker,))
        killer.start()
        found = ran(tmp_path / "store", cluster, 8)
        killer.join()
    assert left == {worker: []}
    assert found.variants[0].kinds["bytes"].cases == 8, said
    assert Path(wanted.executable).exists()
    assert not [each for each in stages.glob("*") if each.is_dir()]


@pytest.mark.nightly
def test_one_two_and_four_workers_give_equal_bytes(lab_command: Lab, tmp_path: Path) -> None:
    texts = set()
    for number in (1, 2, 4):
        store = tmp_path / str(number)
        done = lab_command(
            *("campaign", "published_threadlocal", "persistent_threadlocal", "--cases", "240"),
            *("--workers", str(number), "--store", str(store)),
            timeout=900.0,
        )
        assert done.returncode == 1, done.stderr
        assert "dashboard: http://127.0.0.1:" in done.stderr
        texts.add((store / VERDICTS).read_bytes())
    assert len(texts) == 1


@pytest.mark.nightly
def test_ctrl_c_keeps_what_there_is_and_the_same_command_goes_on(terminal: Terminal, tmp_path: Path) -> None:
    command = ("campaign", "published_threadlocal", "--kind", "bytes", "--cases", "60", "--workers", "2")
    lab = terminal(*command)
    lab.until("recovers is broken")
    lab.type("\x03")
    assert lab.status() == 130
    assert "Traceback" not in lab.seen
    assert "the same command goes on from there" in lab.seen
    kept = sum(path.read_bytes().count(b"\n") for path in tmp_path.rglob("done.jsonl"))
    assert kept > 1
    again = terminal(*command)
    assert again.status() == 1
    assert "60 of 60 cases" in again.seen


@pytest.mark.nightly
def test_workers_of_a_scheduler_elsewhere_are_used(lab_command: Lab, tmp_path: Path) -> None:
    scheduler_file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(scheduler_file)]
    with psutil.Popen([*dask, *options]) as scheduler:
        try:
            assert process.wait_until(scheduler_file.exists, 30.0)
            worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(scheduler_file)]
            with psutil.Popen([*worker, "--no-dashboard", "--host", "127.0.0.1", "--nthreads", "1"]) as one:
                try:
                    address = re.search(r"tcp://[\d.:]+", scheduler_file.read_text())
                    assert address
                    done = lab_command(
                        *("campaign", "published_threadlocal", "--kind", "bytes", "--cases", "16"),
                        *("--cluster", address[0]),
                    )
                    assert done.returncode == 1, done.stderr
                    assert "1 worker\n" in done.stderr
                    assert "report: " in done.stderr
                finally:
                    one.terminate()
        finally:
            scheduler.terminate()
