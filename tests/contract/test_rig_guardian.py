"""However a lab ends, neither a process nor a folder of it is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fix_rig import LabProcess
from lab.rig.machine import guardian
from lab.rig.toxiproxy import binary

StartLab = Callable[[str], LabProcess]

HEAD = """
import os, sys, time
from lab.rig.embedded import rig as module
from lab.rig.embedded.rig import Rig

def say(name, value=""):
    print(f"{name}={value}", flush=True)

lab = Rig()
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

FROZEN = (
    HEAD
    + """
import signal
with lab:
    connection = lab.postgres.connect()
    lab.postgres.signal_backend(connection.info.backend_pid, signal.SIGSTOP)
    lab.toxiproxy.freeze()
    say("ready")
    time.sleep(60)
"""
)

DEFIANT = (
    HEAD
    + """
import subprocess
with lab:
    deaf = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; time.sleep(60)"
    run = dict(start_new_session=True)
    subprocess.Popen([sys.executable, "-c", deaf], env={**os.environ, **lab.environ()}, cwd="/", **run)
    subprocess.Popen([sys.executable, "-c", deaf], env={}, cwd=lab.folder, **run)
    say("ready")
    time.sleep(60)
"""
)

# Each moment of the start: the named function, once it is entered, waits to be killed.
STARTING = (
    HEAD
    + """
from lab.rig.embedded import toxiproxy
from lab.rig.machine import guarded, process
from lab.rig.postgres import postmaster, template

def stop_at(owner, name, after):
    original = getattr(owner, name)
    def replaced(*arguments, **named):
        if after:
            original(*arguments, **named)
        say("ready")
        time.sleep(60)
    setattr(owner, name, replaced)

stop_at(OWNER, "NAME", AFTER)
with lab:
    pass
"""
)

MOMENTS = [
    ("module.Rig", "_start", False),
    ("toxiproxy.Toxiproxy", "start", False),
    ("toxiproxy.Toxiproxy", "start", True),
    ("template", "copy_tree", True),
    ("postmaster.Postmaster", "_spawn", False),
    ("postmaster.Postmaster", "_spawn", True),
    ("guarded.ProcessGuardian", "wait_armed", False),
]


@pytest.mark.slow
@pytest.mark.parametrize("program", [RUNNING, FROZEN, DEFIANT], ids=["running", "frozen", "defiant"])
def test_killed_lab_leaves_nothing(lab_process: StartLab, program: str) -> None:
    lab = lab_process(program)
    lab.heard("ready")
    assert len(lab.processes()) > 5
    lab.kill()
    lab.seconds_to_vanish()


@pytest.mark.slow
@pytest.mark.parametrize(("owner", "name", "after"), MOMENTS)
def test_lab_killed_while_it_starts_leaves_nothing(lab_process: StartLab, owner: str, name: str, after: bool) -> None:
    program = STARTING.replace("OWNER", owner).replace("NAME", name).replace("AFTER", str(after))
    lab = lab_process(program)
    lab.heard("ready")
    lab.kill()
    lab.seconds_to_vanish()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["_initdb", "_run_sql", "copy_tree"])
def test_lab_killed_while_it_builds_the_template_leaves_nothing(
    lab_process: StartLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(binary.PATH_VARIABLE, str(binary.ensure_toxiproxy().path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program = STARTING.replace("OWNER", "template").replace("NAME", name).replace("AFTER", "True")
    lab = lab_process(program)
    lab.heard("ready")
    lab.kill()
    lab.seconds_to_vanish()
    assert not list(tmp_path.glob("connection-lab/stage/*"))


@pytest.mark.slow
def test_killed_lab_leaves_no_shared_memory(lab_process: StartLab) -> None:
    lab = lab_process(RUNNING)
    lab.heard("ready")
    lines = (lab.folder / "data" / "postmaster.pid").read_text().splitlines()
    key, segment = lines[guardian.SHARED_MEMORY_LINE].split()
    assert guardian._segment_exists(int(key), int(segment))
    lab.kill()
    lab.seconds_to_vanish()
    assert not guardian._segment_exists(int(key), int(segment))


@pytest.mark.slow
def test_lab_with_a_killed_guardian_clears_up_itself(lab_process: StartLab) -> None:
    program = HEAD + 'with lab:\n    os.kill(lab.guardian.pid, 9)\n    say("ready")\nsay("left", lab.folder.exists())\n'
    lab = lab_process(program)
    lab.heard("ready")
    assert lab.heard("left") == "False"


def test_sweep_leaves_strangers_alone(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "file").touch()
    assert guardian.sweep("nobody-has-this-id", 0, [folder], patience=5.0)
    assert not folder.exists()
    assert tmp_path.exists()
