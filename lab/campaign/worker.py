"""What a worker of a campaign keeps: one rig, and a zygote for each variant that it was asked for.

They belong to one thread, because a subject ends with the thread that started it, and the threads of a Dask worker come
and go. However the process ends, the rig's guardian ends its servers. A worker that has had nothing to do for a while
ends them itself: its campaign may have been killed.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, TypeVar

import msgspec
import psutil

from lab.campaign.slices import Needs, Slice, Versions
from lab.check.subjects import Subjects, subjects
from lab.edition import edition
from lab.errors import LabError, SubjectLost, ToolMissing
from lab.explore.engine import BOUND, Target
from lab.records.variant import Variant
from lab.rig.base import BaseRig
from lab.rig.machine.environments import Unavailable, contents, make
from lab.rig.rigs import open_rig
from lab.subject.handle import Zygote

RESOURCE = "lab"
"""What a worker that may work offers one of, so that it runs one slice at a time."""
IDLE = 120.0
"""Seconds without a slice after which a worker ends its servers."""
RIG = "embedded"
"""The rig of a worker: the only one that needs nothing but the process."""

T = TypeVar("T")


class _Held:
    """The rig and the zygotes. Used by one thread."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._rig: BaseRig | None = None
        self._subjects: Subjects
        self._zygotes: dict[bytes, Zygote] = {}

    @property
    def there(self) -> BaseRig | None:
        """The rig, where it has been started."""
        return self._rig

    def rig(self) -> BaseRig:
        """The rig, started where it is not there. Raises LabError."""
        if self._rig is None:
            rig = self._stack.enter_context(open_rig(RIG))
            self._subjects = self._stack.enter_context(subjects(rig))
            self._rig = rig
        return self._rig

    def run(self, work: Slice[T]) -> T:
        """A slice; once more with a new zygote where that was lost."""
        try:
            return work.run(self._target(work.variant))
        except SubjectLost:
            self._zygotes.pop(_key(work.variant)).close()
            return work.run(self._target(work.variant))

    def close(self) -> None:
        """End it all; the next slice starts it again."""
        self._zygotes.clear()
        self._rig = None
        self._stack.close()

    def _target(self, variant: Variant) -> Target:
        rig = self.rig()
        if _key(variant) not in self._zygotes:
            (self._zygotes[_key(variant)],) = self._subjects.start([variant])
        return Target(variant, rig, self._zygotes[_key(variant)], variant.bound or BOUND)


class _Place:
    """The thread that everything belongs to, and the clock that ends it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "rig")
        self._held = _Held()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    @property
    def rig(self) -> BaseRig | None:
        """The rig, where it is there."""
        return self._held.there

    def submit(self, work: Callable[[_Held], T]) -> Future[T]:
        """Let the thread do it; for IDLE seconds after that the rig stays."""
        self._rest(None)
        future = self._thread.submit(work, self._held)
        future.add_done_callback(lambda _: self._rest(IDLE))
        return future

    def _rest(self, seconds: float | None) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            if seconds is not None:
                self._timer = threading.Timer(seconds, lambda: self._thread.submit(self._held.close))
                self._timer.daemon = True
                self._timer.start()


_place: _Place | None = None
_making = threading.Lock()


def _here() -> _Place:
    global _place  # noqa: PLW0603 - one process has one rig
    with _making:
        if _place is None:
            _place = _Place()
        return _place


def work(piece: Slice[T]) -> T:
    """What a worker is asked to run. Raises LabError."""
    return _here().submit(lambda held: held.run(piece)).result()


def versions(wanted: Needs) -> Versions:
    """Start the rig, make the environments that are missing, and say what runs.

    Where this is another lab than the `wanted` edition, only which one it is. Raises LabError where this machine cannot
    have a rig or an environment.
    """
    if edition() != wanted.edition:
        return Versions(edition())
    found = dict(_here().submit(lambda held: held.rig().versions()).result())
    for environment in wanted.environments:
        try:
            make(environment, offline=wanted.offline)
        except Unavailable as why:
            raise ToolMissing(
                f"{environment} cannot be had: {why}", "start the worker on a machine that can have it"
            ) from None
        found[str(environment)] = contents(environment)
    return Versions(edition(), found)


async def standing(wanted: Needs) -> Versions | LabError:
    """The same for a Dask worker's own loop, which must go on meanwhile; what is in the way is returned."""
    try:
        return await asyncio.to_thread(versions, wanted)
    except LabError as error:
        return error


async def admit(dask_worker: Any) -> None:
    """Let this worker take slices."""
    await dask_worker.set_resources(**{RESOURCE: 1})


async def leave(seconds: float) -> None:
    """End the servers, within so many seconds; raises TimeoutError where a slice is running yet."""
    ended = asyncio.wrap_future(_here().submit(_Held.close))
    await asyncio.wait_for(asyncio.shield(ended), seconds)


def about_process() -> tuple[int, int, str]:
    """This process, the bytes that it holds in memory, and the id of its rig: for who measures or watches it."""
    rig = _here().rig
    return os.getpid(), psutil.Process().memory_info().rss, rig.lab_id if rig else ""


def _key(variant: Variant) -> bytes:
    return msgspec.json.encode(variant, enc_hook=str)
