"""A Ctrl-C that strikes in a finalizer, where Python drops the KeyboardInterrupt, ends each wait all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, threading
from concurrent.futures import Future
from pathlib import Path
from lab.explore.threads import finish, remember_interrupts

class Struck:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass  # the handler runs between two of these

sys.unraisablehook = lambda lost: print("lost", lost.exc_type.__name__)
{remember}
{make}
Struck()
try:
    {wait}
except KeyboardInterrupt:
    print("heard")
    os._exit(0)
print("waited in vain")
"""
WAITS = {
    "cases": ("forever = Future()", "finish([forever])"),
    "a key": ("import pty; from lab.cli.demo import _key; os.dup2(pty.openpty()[1], 0)", "_key()"),
    "pages": ("from lab.report.serve import _Server; pages = _Server(Path('.'), 0)", "pages.serve_forever()"),
}
"""What makes a wait that never ends of itself, and the wait."""


@pytest.mark.parametrize("name", WAITS)
def test_an_interrupt_that_a_finalizer_swallows_is_heard(name: str) -> None:
    make, wait = WAITS[name]
    assert _said("remember_interrupts()", make, wait) == ["lost KeyboardInterrupt", "heard"]


def test_an_interrupt_that_nobody_remembers_is_lost() -> None:
    make = "soon = Future(); threading.Timer(1.0, soon.set_result, [None]).start()"
    assert _said("", make, "finish([soon])") == ["lost KeyboardInterrupt", "waited in vain"]


def _said(remember: str, make: str, wait: str) -> list[str]:
    """The first two lines of the program, which nothing but its own deadline ends where the interrupt is lost."""
    program = PROGRAM.format(remember=remember, make=make, wait=wait)
    command = ["env", "--default-signal=INT", sys.executable, "-c", program]  # what a shell starts by `&` ignores it
    said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return said.stdout.split("\n")[:2]
