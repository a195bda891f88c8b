"""The zygotes of a check, several started at once: each spends most of a second on importing Django and its variant."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager

import msgspec

from lab.check.probe import probe
from lab.check.rehearsal import rehearse
from lab.errors import LabError
from lab.records.variant import Variant
from lab.rig.machine.environments import interpreter
from lab.rig.protocol import RigProtocol
from lab.subject.handle import Zygote

STARTERS = 8
"""Zygotes that are started at the same time."""
LONG = 5.0
"""Seconds after which an import is said to take long."""


class Later:
    """A zygote that is started when the first plan that needs it is reached; who needs it waits for it.

    `begin` starts it. In a brief check many are never needed: what their plans ask is known before.
    """

    def __init__(self, variant: Variant, begin: Callable[[], Future[Zygote]]) -> None:
        self.variant = variant
        self._begin = begin
        self._lock = threading.Lock()
        self._future: Future[Zygote] | None = None

    def ready(self) -> bool:
        """Whether there is nothing to wait for any more: it has started, or cannot. The first question starts it."""
        return self._begun().done()

    def zygote(self) -> Zygote:
        """It, once it has started. Raises EngineUnusable or ServesNothing."""
        return self._begun().result()

    def abort(self) -> None:
        """End it if it is there, and let it not begin; one that is just starting ends with the check."""
        with self._lock:
            self._future = future = self._future or Future()
        if not future.cancel() and future.done():
            _close(future)

    def _begun(self) -> Future[Zygote]:
        with self._lock:
            if self._future is None:
                self._future = self._begin()
            return self._future


class Subjects:
    """Starts zygotes on threads that live until the check is over.

    A zygote ends with the thread that started it: Linux sends its death signal (PR_SET_PDEATHSIG) to the children of a
    thread that ends.
    """

    def __init__(self, rig: RigProtocol, threads: ThreadPoolExecutor, stack: ExitStack) -> None:
        self._rig = rig
        self._threads = threads
        self._stack = stack
        self._read_only: set[tuple[str, str]] = set()

    def start(self, variants: Sequence[Variant], say: Callable[[str], None] = lambda _: None) -> list[Zygote]:
        """One zygote for each, which knows what it was seen to keep; each has served a request without any fault.

        `say` hears of those that take long. Raises EngineUnusable or ServesNothing for the first that cannot be used.
        """
        futures = [self._threads.submit(self._start, variant, False) for variant in variants]
        try:
            _, late = wait(futures, timeout=LONG)
            for variant, future in zip(variants, futures, strict=True):
                if future in late and variant.module:
                    say(f"{variant.name}: still importing {variant.module}")
            wait(futures)
        finally:
            for future in futures:
                self._stack.callback(_close, future)
        return [future.result() for future in futures]

    def later(self, variants: Sequence[Variant]) -> tuple[Later, ...]:
        """One for each of those whose settings plans change; what they come from has started.

        None may serve a request.
        """
        return tuple(Later(variant, functools.partial(self._begin, variant)) for variant in variants)

    def _begin(self, variant: Variant) -> Future[Zygote]:
        future = self._threads.submit(self._start, variant, True)
        self._stack.callback(_close, future)
        return future

    def _start(self, variant: Variant, changed: bool) -> Zygote:
        zygote = Zygote(here(variant), self._rig.folder, self._rig.environ())
        try:
            if not changed and rehearse(variant, zygote, self._rig):
                self._read_only.add((variant.module, variant.alias))
            if (variant.module, variant.alias) in self._read_only:
                zygote.traits = msgspec.structs.replace(zygote.traits, read_only=True)
            zygote.traits = probe(variant, self._rig, zygote)
        except LabError:
            zygote.close()
            raise
        return zygote


def here(variant: Variant) -> Variant:
    """The variant with its interpreter on this machine, where it names one of the lab's environments.

    Raises BadInput where that has not been made.
    """
    return msgspec.structs.replace(variant, python=interpreter(variant.python))


def _close(future: Future[Zygote]) -> None:
    if not future.cancel() and future.exception() is None:
        future.result().close()


@contextmanager
def subjects(rig: RigProtocol) -> Iterator[Subjects]:
    """Zygotes for a `with` block, at whose end they are closed."""
    with ThreadPoolExecutor(STARTERS, "zygotes") as threads, ExitStack() as stack:
        yield Subjects(rig, threads, stack)
