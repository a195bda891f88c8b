"""The server's view of a run, taken when the server has taken in what the client sent last."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import msgspec

from lab.errors import LabError
from lab.records.census import OUTLIVED, Census, Session
from lab.rig.machine.tcp import Talk
from lab.rig.site.site import PlanSite
from lab.run.actors import Actors
from lab.run.diary import Diary
from lab.timing import CLOSE, FAREWELL, HEARD, OUTLIVE, SETTLE, Stopwatch

LOOKS = (0.002, 0.002, 0.004, 0.004, 0.008, 0.016)
"""Seconds between looks at the server's sessions, which make no event that the lab could wait for.

First often, because most settle in a millisecond or two; then at the last one's distance, because a look has a price.
"""

LONGEST_LOOK = 0.02
"""Seconds that one look counts for at most, with the pause before it."""


class CensusTaker:
    """Writes censuses into the diary. `kept` says whether a fault may be keeping sessions from ending."""

    def __init__(self, site: PlanSite, diary: Diary, actors: Actors, kept: Callable[[], bool]) -> None:
        self._site = site
        self._diary = diary
        self._actors = actors
        self._kept = kept
        self._known: tuple[int, int] | None = None
        self._inherited: dict[str, frozenset[int]] = {}
        self._said: dict[int, Talk] = {}  # on inherited sockets, at the last census
        self._at_fork: dict[int, Talk] = {}  # on the same, when the first child came to be that has them

    def take(self, at: str, step: int = -1, actor: str = "", settle: bool = False) -> None:
        """Now, or with `settle` once nothing is on its way any more; not at all while the server is down.

        Where nothing has happened since the last one that was settled, that one is what another would show.
        """
        if settle and self._known is not None and self._known == self._happened():
            last = self._diary.census[-1]
            self._diary.census.append(
                msgspec.structs.replace(last, time=self._diary.now(), at=at, step=step, actor=actor)
            )
            return
        if at == "fork":
            process = actor.rpartition(".")[0]
            self._inherited[process] = self._inherited.get(process, frozenset()) | self._site.connected(process)
        elif "." in actor and not self._kept() and not self._actors.pending:
            self._wait_until_heard()
        try:
            sessions = self._settled() if settle else self._site.sessions()
        except LabError:
            if at == "after exit":
                raise
            return  # the server is down, which is what a fault may do
        # After the sessions: where a process has closed its end, its session is not seen to go before its socket.
        sockets = {name: tuple(sorted(self._site.still_open(name, each))) for name, each in self._inherited.items()}
        said = self._talk() if self._inherited else {}
        if at == "fork":
            self._at_fork = {**said, **self._at_fork}
        self._diary.census.append(
            Census(
                time=self._diary.now(),
                at=at,
                step=step,
                actor=actor,
                sessions=sessions,
                connects=self._site.connects(),
                sockets=sockets,
                spoken={name: self._spoken(inodes, said) for name, inodes in sockets.items() if self._told(inodes)},
            )
        )
        self._said = said
        self._known = self._happened() if settle and not self._actors.pending else None

    def _happened(self) -> tuple[int, int]:
        return len(self._diary.ops), len(self._diary.events)

    def _talk(self) -> dict[int, Talk]:
        return self._site.talk(frozenset().union(*self._inherited.values()))

    def _told(self, inodes: tuple[int, ...]) -> bool:
        """Whether the kernel has told of all of them what was said."""
        return self._at_fork.keys() >= set(inodes)

    def _spoken(self, inodes: tuple[int, ...], now: dict[int, Talk]) -> tuple[int, ...]:
        """Those on which something was said since the fork; one of which the kernel knows no more was shut."""
        return tuple(inode for inode in inodes if inode not in now or now[inode].asked > self._at_fork[inode].asked)

    def _wait_until_heard(self) -> None:
        """What a child has said on a socket of its parent's was heard: something has come back, if only the end.

        The kernel knows that something was said. A busy server takes longer over it than any pause that one would make.
        """
        until = time.monotonic() + HEARD.seconds
        pauses = _pauses()
        while self._inherited and time.monotonic() < until:
            if not any(talk.waits_since(self._said.get(inode)) for inode, talk in self._talk().items()):
                return
            time.sleep(next(pauses))

    def wait_for_farewell(self) -> None:
        """What a process has said to the server when it ended takes a moment to have an effect."""
        before = {session.id for session in self._site.sessions()}
        until = time.monotonic() + FAREWELL.seconds
        pauses = _pauses()
        while before == {session.id for session in self._site.sessions()} and time.monotonic() < until:
            time.sleep(next(pauses))

    def outlive(self) -> None:
        """Take a census once no session is left after a fault has ended the process, or when OUTLIVE has passed.

        Gates are still shut, so that the server is still at the process's statement.
        """
        stopwatch = Stopwatch(LONGEST_LOOK)
        for pause in _pauses():
            sessions = self._site.sessions()
            if not sessions or stopwatch.look() >= OUTLIVE.seconds:
                self._diary.census.append(Census(time=self._diary.now(), at=OUTLIVED, sessions=sessions))
                return
            time.sleep(pause)

    def _settled(self) -> tuple[Session, ...]:
        stopwatch = Stopwatch(LONGEST_LOOK)
        for pause in _pauses():
            sessions = self._site.sessions()
            waited = stopwatch.look()
            if waited >= SETTLE.seconds:
                return sessions
            if not (waited < CLOSE.seconds and self._closing(sessions)) and not self._unsettled(sessions):
                return sessions
            time.sleep(pause)
        raise AssertionError("pauses never end")

    def _unsettled(self, sessions: tuple[Session, ...]) -> bool:
        """Whether more sessions are at work than steps, or more hold a transaction than there are requests in flight.

        What a backend sends at the end of a request need not have been answered when the request has ended.
        """
        if any(session.locks and not session.xact for session in sessions):
            return True  # states and locks are read one after the other, and a transaction has just begun or ended
        active = sum(session.state == "active" for session in sessions)
        in_transaction = sum(session.xact for session in sessions)
        return active > len(self._actors.pending) or in_transaction > len(self._actors.in_request)

    def _closing(self, sessions: tuple[Session, ...]) -> bool:
        """Whether a session is idle and does not wait for its client: it may be ending, on a busy machine.

        Or there are more than the subject has connections: it has closed some, and they are about to end, unless a
        fault keeps them.
        """
        if any(session.state == "idle" and not session.wait for session in sessions):
            return True
        return not self._kept() and len(sessions) > self._site.open_files()


def _pauses() -> Iterator[float]:
    return itertools.chain(LOOKS, itertools.repeat(LOOKS[-1]))
