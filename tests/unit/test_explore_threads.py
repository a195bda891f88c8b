"""A Ctrl-C that strikes in a finalizer, where Python drops the KeyboardInterrupt, ends the wait all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys
from concurrent.futures import Future
from lab.explore.threads import finish, remember_interrupts

class Struck:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass  # the handler runs between two of these

sys.unraisablehook = lambda lost: print("lost", lost.exc_type.__name__)
REMEMBER
Struck()
forever, soon = Future(), Future()
if TIMED:
    import threading
    threading.Timer(1.0, forever.set_result, [None]).start()
try:
    finish([forever])
except KeyboardInterrupt:
    print("heard")
    os._exit(0)
print("waited in vain")
"""


@pytest.mark.parametrize(
    ("remember", "heard"), [("remember_interrupts()", "heard"), ("", "waited in vain")], ids=["remembered", "as it was"]
)
def test_an_interrupt_that_a_finalizer_swallows_is_heard(remember: str, heard: str) -> None:
    program = PROGRAM.replace("REMEMBER", remember).replace("TIMED", str(not remember))
    command = ["env", "--default-signal=INT", sys.executable, "-c", program]  # what a shell starts by `&` ignores it
    said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert said.stdout.split("\n")[:2] == ["lost KeyboardInterrupt", heard]
