"""A run in which the lab itself was not let run proves nothing, whatever it looks like: it is begun again."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil
import pytest

from fix_rig import LabProcess
from lab.run.run import TRIES
from lab.timing import HELD_UP

PROGRAM = """
from lab.records.plan import Begin, End, Plan, Sql
from lab.records.variant import Variant
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

def say(name, value=""):
    print(f"{name}={value}", flush=True)

def tell(index, running):
    if index == 1:
        say("middle")

variant = Variant(name="stock")
steps = (Begin("t0"), Sql("t0", "SELECT 1"), *[Sql("t0", "SELECT pg_sleep(0.05)")] * 10, End("t0"))
lab = Rig()
say("lab", lab.lab_id)
say("folder", lab.folder)
with lab:
    zygote = Zygote(variant, lab.folder, lab.environ())
    for _ in range(4):
        record = run(Plan(variant=variant, steps=steps, bound=0.2), lab, zygote, watch=tell)
        say("void", record.void)
    zygote.close()
"""


def everything(lab: LabProcess) -> list[psutil.Process]:
    """The lab, its servers and the subject."""
    return [psutil.Process(lab.child.pid), *lab.processes()]


def the_lab_alone(lab: LabProcess) -> list[psutil.Process]:
    """What the subject does goes on."""
    return [psutil.Process(lab.child.pid)]


def stop_for_a_second(processes: Iterable[psutil.Process]) -> None:
    """As a machine does that swaps, is suspended, or has no processor to spare."""
    stopped = []
    for each in processes:
        with suppress(psutil.NoSuchProcess):  # a session of the server's may have ended since they were listed
            each.send_signal(signal.SIGSTOP)
            stopped.append(each)
    time.sleep(1.0)
    for each in stopped:
        each.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("who", [everything, the_lab_alone])
def test_run_in_which_the_lab_was_stopped_is_begun_again(
    who: Callable[[LabProcess], list[psutil.Process]], lab_process: Callable[[str], LabProcess]
) -> None:
    lab = lab_process(PROGRAM)
    assert void_of(lab, who, stops=0) == "", "nothing was stopped"
    assert void_of(lab, who, stops=1) == "", "the second try was not stopped"
    void = void_of(lab, who, stops=TRIES)
    assert void.startswith("the lab itself was held up for "), void
    assert HELD_UP.seconds < float(void.split()[7]) < 5.0, "how long it was stopped is said"
    assert void_of(lab, who, stops=0) == "", "the next run does not remember it"
    assert lab.child.communicate(timeout=20.0)[1] == ""


def void_of(lab: LabProcess, who: Callable[[LabProcess], list[psutil.Process]], stops: int) -> str:
    """Why the program's next run is void, of which so many tries are stopped; a busy machine may hold up others."""
    while True:
        name, value = lab.heard_any("middle", "void")
        if name == "void":
            return value
        if stops:
            stop_for_a_second(who(lab))
            stops -= 1
