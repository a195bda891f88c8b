"""The workers of a campaign, by dask.distributed: the lab has no engine of its own for that."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from lab.campaign.slices import Needs, Slice, Versions
from lab.campaign.worker import RESOURCE, admit, leave, standing, work
from lab.edition import edition
from lab.errors import BadInput, LabError, ToolMissing
from lab.explore.threads import raise_lost_interrupt
from lab.rig.machine.environments import Environment

REMEDY = "pip install 'connection-lab[campaign]'"
CONNECT = 10.0
"""Seconds in which a scheduler must answer."""
LOOK = 1.0
"""Seconds between two looks for workers that have come."""
ALONE = 60.0
"""Seconds without any worker that may work after which a campaign ends."""
AHEAD = 2
"""Slices for each worker that are with the scheduler at the same time: the one that runs, and the next one."""
QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.system-monitor.log-length": 600}
"""What Dask need not keep of a worker: its load of the last hour, and a profile of each second of it, which is 20
dictionaries a second. The profile would show one call."""
LEAVE = 15.0
"""Seconds that workers may take to end their servers."""


def _dask() -> Any:
    """The library. Raises ToolMissing where the extra is not installed."""
    try:
        import distributed  # noqa: PLC0415 - late: an optional extra, and it takes a second
    except ModuleNotFoundError as error:
        raise ToolMissing(f"{error.name} is not installed, which campaigns need", REMEDY) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what concerns a person is said by the lab
    return distributed


@dataclass
class Cluster:
    """A scheduler and its workers, each of which must have the `environments`, or make them unless it is `offline`.

    `dashboard` is the address of Dask's own page, "" where there is none.
    """

    client: Any
    say: Callable[[str], None]
    environments: tuple[Environment, ...] = ()
    offline: bool = False
    wanted: Versions | None = None
    _known: dict[str, bool] = field(default_factory=dict)
    _looked: float = 0.0

    @property
    def dashboard(self) -> str:
        """The address of Dask's own page, "" where there is none."""
        return str(self.client.dashboard_link or "")

    @property
    def workers(self) -> int:
        """How many may work."""
        return sum(self._known.values())

    def look(self) -> int:
        """Admit workers that have come, refuse by name those that may not work; how many may now."""
        if time.monotonic() - self._looked < LOOK and self._known:
            return self.workers
        self._looked = time.monotonic()
        there: dict[str, Any] = self.client.scheduler_info(n_workers=-1)["workers"]
        new = [address for address in there if address not in self._known]
        self._known = {address: may for address, may in self._known.items() if address in there}
        if new:
            needs = Needs(edition(), self.environments, self.offline)
            said = self.client.run(standing, needs, workers=new, on_error="return")
            for address in sorted(new, key=lambda each: str(there[each].get("name", each))):
                self._known[address] = self._admit(address, str(there[address].get("name", "")), said.get(address))
        return self.workers

    def _admit(self, address: str, name: str, said: Any) -> bool:
        why = self._why_not(said)
        if why:
            self.say(f"worker {name or address} at {address} is refused: {why}")
            return False
        self.client.run(admit, workers=[address])
        return True

    def _why_not(self, said: Any) -> str:
        if isinstance(said, LabError):
            return str(said)
        if not isinstance(said, Versions):
            return f"the lab cannot be run there: {said!r}"
        if said.edition != edition():
            return f"it has the lab {said.edition}, the campaign is by {edition()}: install the same one there"
        if self.wanted is None:
            self.wanted = said
        if said.versions != self.wanted.versions:
            keys = sorted(key for key, value in said.versions.items() if self.wanted.versions.get(key) != value)
            words = ", ".join(f"{key} {said.versions[key]} and not {self.wanted.versions.get(key)}" for key in keys)
            return f"it has {words}: install the same versions there"
        return ""

    def results(self, more: Callable[[], Slice[Any] | None]) -> Iterator[tuple[Slice[Any], Any]]:
        """Run what `more` gives, until it gives None and all that it gave is over; results as they come.

        A result is what the slice's `run` returns, or a LabError. A slice whose worker dies is run elsewhere. Raises
        LabError when no worker has been there for ALONE seconds, or the scheduler has gone.
        """
        distributed = _dask()
        running: dict[Any, Slice[Any]] = {}
        alone = time.monotonic()
        try:
            while True:
                raise_lost_interrupt()
                room = AHEAD * self.look() - len(running)
                while room > 0 and (piece := more()) is not None:
                    future = self.client.submit(work, piece, pure=False, resources={RESOURCE: 1})
                    running[future] = piece
                    room -= 1
                if not running and self.workers:
                    return
                alone = time.monotonic() if self.workers else alone
                if time.monotonic() - alone > ALONE:
                    raise LabError("no worker may work", "start one that has PostgreSQL and the same lab")
                if not running:
                    time.sleep(LOOK)
                    continue
                yield from self._over(distributed, running)
        except (OSError, distributed.client.FutureCancelledError) as error:  # a closed connection is an OSError here
            raise LabError(
                f"the scheduler has gone: {error}", "start it, and the same command again: it goes on from its store"
            ) from None
        finally:
            self.client.cancel(list(running), force=True)

    def _over(self, distributed: Any, running: dict[Any, Slice[Any]]) -> Iterator[tuple[Slice[Any], Any]]:
        try:
            done, _ = distributed.wait(list(running), timeout=LOOK, return_when="FIRST_COMPLETED")
        except (TimeoutError, distributed.TimeoutError):
            return
        for future in done:
            piece = running.pop(future)
            yield piece, _result(distributed, future, piece)

    def leave(self) -> None:
        """Let workers that stay end their servers; one that is busy yet does it when it has been idle for a while."""
        try:
            mine = [address for address, may in self._known.items() if may]
            self.client.run(leave, LEAVE, workers=mine, on_error="ignore")
        except (OSError, TimeoutError):
            return  # the scheduler has gone, and what was to be said of that has been


def _result(distributed: Any, future: Any, piece: Slice[Any]) -> Any:
    try:
        return future.result()
    except LabError as error:
        return error
    except distributed.KilledWorker:
        return LabError(f"{piece.title}: every worker that ran it ended", "look at the workers' logs")


@contextmanager
def workers(number: int, say: Callable[[str], None]) -> Iterator[Cluster]:
    """So many worker processes of this machine, on loopback, until the block ends. Raises ToolMissing."""
    distributed = _dask()
    import dask  # noqa: PLC0415 - late, as distributed is

    with ExitStack() as stack:
        stack.enter_context(dask.config.set(QUIET))
        cluster = stack.enter_context(
            distributed.LocalCluster(
                n_workers=number,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address=None,
                memory_limit=None,
                preload=["lab.campaign.preload"],
                security=distributed.Security.temporary(),  # others of this machine must not run code as this user
                silence_logs=logging.CRITICAL,
            )
        )
        yield Cluster(stack.enter_context(distributed.Client(cluster)), say)


@contextmanager
def at(address: str, say: Callable[[str], None]) -> Iterator[Cluster]:
    """The workers of a scheduler that is there. Raises ToolMissing, or BadInput where none answers at the address."""
    distributed = _dask()
    try:
        client = distributed.Client(address, timeout=CONNECT, name=f"lab-{os.getpid()}")
    except (OSError, ValueError, TimeoutError, distributed.TimeoutError) as error:
        raise BadInput(
            f"no scheduler answers at {address}: {error}",
            "start one with `dask scheduler`, or leave --cluster out and give --workers N",
        ) from None
    with client:
        cluster = Cluster(client, say)
        try:
            yield cluster
        finally:
            cluster.leave()
