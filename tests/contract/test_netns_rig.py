"""The netns rig from outside: as root and as an ordinary user, each test in a process that moves into a namespace."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from fix_netns import Inside
from lab.errors import BadInput
from lab.fault import FAULTS, needs
from lab.records.plan import FaultSpec, Inject, Plan
from lab.records.variant import Variant
from lab.rig import rigs
from lab.rig.capabilities import VARIABLE
from lab.rig.embedded.rig import Rig
from lab.rig.netns import namespace
from lab.rig.netns.rig import NetnsRig
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.netns, pytest.mark.slow]
GONE_WITHIN = 5.0
OWN = NetnsRig.capabilities - Rig.capabilities
LOSSES = " or ".join(kind for kind in FAULTS if FAULTS.get(kind).needs & OWN)
CONTRACT = "tests/contract/test_fault_contract.py"
IN_THERE = "tests/contract/netns_inside.py"

RUNNING = """
import os, time
from lab.rig.rigs import open_rig, prepare
with open_rig(prepare("netns")) as rig:
    print(rig.folder, os.stat("/proc/self/ns/net").st_ino, flush=True)
    time.sleep(60)
"""

START = """
import time
from lab.rig.rigs import open_rig, prepare
for _ in range(3):
    begun = time.monotonic()
    with open_rig(prepare("netns")):
        print(time.monotonic() - begun)
"""

FULL = """
import os
from lab.rig.netns import namespace
uid, gid = os.geteuid(), os.getegid()
namespace._call_unshare(namespace.CLONE_NEWUSER)
for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
    open(f"/proc/self/{name}", "w").write(text)
open("/proc/sys/user/max_net_namespaces", "w").write("0")
try:
    namespace.enter()
except Exception as refusal:
    print(refusal)
"""

THREADED = """
import threading, time
from lab.rig import rigs
from lab.rig.capabilities import VARIABLE
threading.Thread(target=time.sleep, args=[1], daemon=True).start()
try:
    rigs.prepare("netns")
except Exception as refusal:
    print(refusal)
"""


def test_every_loss_lands_heals_and_is_what_it_says_inside(inside: Inside) -> None:
    said = inside.pytest(CONTRACT, IN_THERE, "-k", f"(lands_and_heals and ({LOSSES})) or netns_inside")
    assert "passed" in said


@pytest.mark.chaos
@pytest.mark.nightly
def test_every_fault_keeps_the_whole_contract_inside(inside: Inside) -> None:
    # All of them once, as the user for whom the namespace is made; root's servers are those of the embedded rig.
    inside.pytest(CONTRACT, "-m", "", *(("-k", LOSSES) if inside.user == "root" else ()))


@pytest.mark.chaos
@pytest.mark.nightly
def test_what_takes_its_time_inside(inside: Inside) -> None:
    inside.pytest(IN_THERE, "-m", "nightly")


@pytest.mark.chaos
@pytest.mark.nightly
def test_warm_start_is_quick(inside: Inside) -> None:
    inside.run("-c", START)  # the first one may have to build the template
    done = inside.run("-c", START)
    assert done.returncode == 0, done.stderr
    assert min(map(float, done.stdout.split())) < 5.0  # 0.4 s alone; generous, for a machine that does other things


def test_killed_lab_leaves_neither_processes_nor_folder_nor_namespace(inside: Inside) -> None:
    with inside.start(RUNNING) as lab:
        assert lab.stdout is not None
        line = lab.stdout.readline()
        assert line, lab.communicate()[1]
        folder, namespace = line.split()
        assert len(_inhabitants(int(namespace))) > 5
        lab.send_signal(signal.SIGKILL)
        until = time.monotonic() + GONE_WITHIN
        while (Path(folder).exists() or _inhabitants(int(namespace))) and time.monotonic() < until:
            time.sleep(0.02)
    assert not Path(folder).exists()
    assert not _inhabitants(int(namespace))


def test_refusal_names_the_switch_and_the_remedy(inside: Inside) -> None:
    said = inside.run("-c", FULL).stdout
    assert "no network namespace" in said
    assert "user.max_net_namespaces=0" in said
    assert "sysctl user.max_net_namespaces=15000" in said


def test_lab_with_threads_is_not_moved(inside: Inside) -> None:
    assert "before any thread starts" in inside.run("-c", THREADED).stdout


def test_netns_rig_outside_a_namespace_does_not_start() -> None:
    with pytest.raises(BadInput, match="use --rig netns"), NetnsRig():
        pass


def test_link_that_is_the_machines_is_not_touched() -> None:
    with pytest.raises(BadInput, match="the machine's"), namespace.link_down():
        pass
    assert namespace.link_is_up()


def test_unknown_rig_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "cloud")
    with pytest.raises(BadInput, match="known: embedded, netns"):
        rigs.prepare()


def test_plan_that_needs_loss_is_refused_elsewhere_with_the_rig_that_has_it(rig: Rig) -> None:
    variant = Variant(name="stock")
    plan = Plan(variant=variant, steps=(Inject(FaultSpec("blackout")),))
    assert needs(plan) == {"loss"}
    zygote = Zygote(variant, rig.folder, rig.environ())
    try:
        with pytest.raises(BadInput, match="the embedded rig lacks loss; use --rig netns"):
            run(plan, rig, zygote)
    finally:
        zygote.close()


def _inhabitants(namespace: int) -> list[int]:
    """The processes in a network namespace, zombies aside: those have left it."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}/ns/net").st_ino == namespace:
                found.append(int(name))
        except OSError:
            continue
    return found
