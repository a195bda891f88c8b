"""The zygotes of a check, several started at once: each spends most of a second on importing Django and its variant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager

from lab.check.probe import probe
from lab.records.variant import Variant
from lab.rig.protocol import RigProtocol
from lab.subject.handle import Zygote

STARTERS = 8
"""Zygotes that are started at the same time."""


class Subjects:
    """Starts zygotes on threads that live until the check is over.

    A zygote ends with the thread that started it: Linux sends its death signal (PR_SET_PDEATHSIG) to the children of a
    thread that ends.
    """

    def __init__(self, rig: RigProtocol, threads: ThreadPoolExecutor, stack: ExitStack) -> None:
        self._rig = rig
        self._threads = threads
        self._stack = stack

    def start(self, variants: Sequence[Variant]) -> list[Zygote]:
        """One zygote for each, which knows what it was seen to keep.

        Raises EngineUnusable for the first that cannot be imported or configured.
        """
        futures = [self._threads.submit(self._start, variant) for variant in variants]
        try:
            wait(futures)
        finally:
            for future in futures:
                self._stack.callback(_close, future)
        return [future.result() for future in futures]

    def _start(self, variant: Variant) -> Zygote:
        zygote = Zygote(variant, self._rig.folder, self._rig.environ())
        zygote.traits = probe(variant, self._rig, zygote)
        return zygote


def _close(future: Future[Zygote]) -> None:
    if not future.cancel() and future.exception() is None:
        future.result().close()


@contextmanager
def subjects(rig: RigProtocol) -> Iterator[Subjects]:
    """Zygotes for a `with` block, at whose end they are closed."""
    with ThreadPoolExecutor(STARTERS, "zygotes") as threads, ExitStack() as stack:
        yield Subjects(rig, threads, stack)
