"""Several requests at once, each statement held at the tap until it is its turn.

One actor is let go; then everything comes to rest: each actor is held at its next statement, blocked by a lock of
another one in the server, waiting for something in Python (a lock, a sleep), or done. Only then is the next one chosen,
so that the choices alone decide what happens.
"""

from __future__ import annotations

import os
import platform
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, Literal

from django.db import connections

from lab.application import clock
from lab.application.case import Answer
from lab.application.ground import Call, Case, Ground
from lab.application.order_case import Step, address, letter
from lab.application.sources import Note
from lab.errors import LabError
from lab.explore.frontier import Choice, usual
from lab.wire.journal import Act, Event, Message, Record
from lab.wire.protocol import BACKEND_KEY
from lab.wire.rule import Rule

HOLD: Final = Rule.parse("step-begun+0", "stall", "server", repeat=True)

READY: Final = "Z"

DEADLOCK: Final = "40P01"

IN_TRANSACTION: Final = "T"
"""The transaction state of a session that keeps what it has locked."""

KEEPS_LOCKS: Final = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE)\b(?!.*advisory)", re.IGNORECASE | re.DOTALL)
"""SQL that gives no lock back while its transaction goes on."""

FIRST_POLL: Final = 0.002
LONGEST_POLL: Final = 0.1
"""Seconds between two questions to the server who blocks whom; each is twice as long as the one before. The first comes
when a statement takes longer than statements usually do on this machine as it is, within these two.
"""

WEIGHT: Final = 0.2
"""Of the last statement in what is usual."""

QUIET: Final = 0.03
"""Seconds without any event after which a thread that does nothing is taken to wait for something in Python."""

GLANCE: Final = 0.01
"""Seconds between two looks at what the threads of this process do."""

STEPS: Final = 1000
"""Statements of one order after which it is given up: a request that tries again for ever."""

State = Literal["arriving", "ready", "running", "held", "sent", "done"]
Place = tuple[int, int]
"""The server's number and the connection's."""


class Astray(Exception):  # not an error of anybody's: the order is not there any more
    """The order cannot be followed: what the requests do differs from the run that it was taken from."""


@dataclass
class Actor:
    """One request. `place` is the connection at which it is held or on which its statement is under way."""

    index: int
    call: Call
    state: State = "arriving"
    place: Place | None = None
    act: Act | None = None
    behind: list[tuple[Place, Act]] = field(default_factory=list)
    """Statements of its other threads that are held meanwhile: one goes after the other."""
    answer: Answer | None = None
    since: float = 0.0
    """When its statement was let go."""
    step: int = -1
    """The number of its last step."""
    blockers: frozenset[int] = frozenset()
    """Actors whose locks its statement waits for, as last seen."""
    stuck: bool = False
    """Its statement was seen to wait, and nobody has given a lock back since."""
    keeps: bool = False
    """Its last statement gives no lock back."""
    alone: bool = True
    """Whether nothing but its own thread has spoken to the server."""
    threads: set[int] = field(default_factory=set)
    natives: set[int] = field(default_factory=set)
    """Its own thread as the kernel knows it."""
    begin: threading.Event = field(default_factory=threading.Event)
    leave: threading.Event = field(default_factory=threading.Event)

    @property
    def able(self) -> bool:
        """Whether it can be let go."""
        return self.state in ("ready", "held")


@dataclass(frozen=True)
class _Arrived:
    actor: int
    thread: int


@dataclass(frozen=True)
class _Answered:
    actor: int
    answer: Answer


_News = tuple[int, Record] | _Arrived | _Answered


@dataclass(frozen=True)
class Wanted:
    """The order to be followed: who goes at each step, what each step is expected to be, and where a cut comes.

    Where it ends, the last actor goes on while it can.
    """

    actors: tuple[int, ...] = ()
    expected: tuple[Step, ...] = ()
    cut_at: int | None = None


@dataclass(frozen=True)
class Played:
    """How an order went."""

    steps: tuple[Step, ...]
    choices: tuple[Choice, ...]
    answers: tuple[Answer, ...]
    held_open: int
    astray: str
    swallowed: dict[int, str]
    deadlock_at: int | None
    """How many steps there had been when the server ended a deadlock: which statement it ended was its own choice."""

    @property
    def address(self) -> str:
        """Its letters."""
        return address(self.steps)


class Stage:
    """Plays orders of the same calls on a test's ground; for the test's own thread."""

    def __init__(self, ground: Ground, calls: Sequence[Call], *, patience: float) -> None:
        self.ground = ground
        self.calls = calls
        self.patience = patience
        """Seconds in which everything must have come to rest."""
        self.usual = FIRST_POLL
        """Seconds that a statement takes which waits for nobody."""

    @property
    def first_poll(self) -> float:
        """Seconds after which a statement is taken to wait, perhaps."""
        return min(max(2 * self.usual, FIRST_POLL), LONGEST_POLL)

    @contextmanager
    def play(self, wanted: Wanted) -> Iterator[tuple[Case, Played]]:
        """Play one order; within the block its rows are there and its sessions have ended."""
        play = _Play(self)
        with self.ground.case([HOLD], push=True, sink=play.told, warm=False) as case:
            played = play.run(case, wanted)
            case.settle()
            case.sever()
            yield case, played


class _Play:
    """One order being played."""

    _case: Case

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._news: SimpleQueue[_News] = SimpleQueue()
        self._sources = stage.ground.sources
        self._actors = [Actor(index, call) for index, call in enumerate(stage.calls)]
        self._owners: dict[Place, int] = {}
        self._ports: dict[Place, int] = {}
        """The client's port of each connection."""
        self._pids: dict[Place, int] = {}
        self._sent: set[Place] = set()
        """Connections on which a statement is under way."""
        self._steps: list[Step] = []
        self._choices: list[Choice] = []
        self._deadlock_at: int | None = None
        self._held_open = 0
        self._swallowed: dict[int, str] = {}
        self._waiting: dict[int, int] = {}
        """What the actors' threads had used of the processor when they were last seen to wait."""

    def told(self, server: int, record: Record) -> None:
        """A record has come; in the thread that reads the tap's pipe.

        Each piece of news wakes the stage, and a connection's beginning alone has dozens of records: what changes
        nothing that an actor does is taken down here.
        """
        place = server, record.connection
        if isinstance(record, Act):
            self._news.put((server, record))
        elif isinstance(record, Event):
            if record.event == "accept":
                self._ports[place] = int(record.detail.rpartition(":")[2])
        elif record.type == BACKEND_KEY:
            self._pids[place] = record.pid
        elif record.sqlstate == DEADLOCK or (record.type == READY and place in self._sent):
            self._news.put((server, record))

    def run(self, case: Case, wanted: Wanted) -> Played:
        """Play it on this case."""
        self._case = case
        threads = [self._start(actor) for actor in self._actors]
        astray = ""
        try:
            self._rest()
            self._follow(wanted)
            for port in self._case.ports:
                port.journal()  # the last answers have reached the actors, but perhaps not yet the journal
            self._held_open += self._case.left_open()
        except Astray as reason:
            astray = str(reason)
        finally:
            self._let_go(threads)
        answers = tuple(actor.answer or Answer(silent=True) for actor in self._actors)
        return Played(
            tuple(self._steps),
            tuple(self._choices),
            answers,
            self._held_open,
            astray,
            self._swallowed,
            self._deadlock_at,
        )

    # -- the actors' threads

    def _start(self, actor: Actor) -> threading.Thread:
        thread = threading.Thread(target=self._live, args=(actor,), name=f"request {letter(actor.index)}", daemon=True)
        thread.start()
        return thread

    def _live(self, actor: Actor) -> None:
        own = threading.get_ident()
        actor.threads.add(own)
        actor.natives.add(threading.get_native_id())
        try:
            with suppress(Exception):  # the request will meet the same
                self._case.warm()
            self._news.put(_Arrived(actor.index, own))
            actor.begin.wait()
            self._news.put(_Answered(actor.index, self._case.call(actor.call)))
            actor.leave.wait()
        finally:
            connections.close_all()

    def _let_go(self, threads: Sequence[threading.Thread]) -> None:
        """Let every thread end, also those of an order that was given up: nothing is held any more."""
        for port in self._case.ports:
            port.let_go()
        for actor in self._actors:
            actor.begin.set()
            actor.leave.set()
        if not clock.wait_until(lambda: not any(map(threading.Thread.is_alive, threads)), self._stage.patience):
            # A statement that waits for a lock, or a request that never ends: its connection is all that can be ended.
            self._case.sever()
            if not clock.wait_until(lambda: not any(map(threading.Thread.is_alive, threads)), self._stage.patience):
                raise LabError("a request did not end", "give its waits a deadline")

    # -- one choice after the other

    def _follow(self, wanted: Wanted) -> None:
        while any(actor.state != "done" for actor in self._actors):
            able = tuple(actor.index for actor in self._actors if actor.able)
            if not able:
                self._wait_for_change()
                continue
            if len(self._steps) >= STEPS:
                raise Astray(f"the requests have not ended after {STEPS} statements")
            number = len(self._steps)
            last = self._steps[-1].actor if self._steps else None
            chosen = self._chosen(wanted, number, able, last)
            if last in able and not self._steps[-1].says and chosen == last:
                # Until its first statement a request has said nothing to anybody: to let another one go here is the
                # same as to let that one go before.
                able = (chosen,)
            self._choices.append(Choice(able, chosen, last))
            self._go(self._actors[chosen], cut=number == wanted.cut_at)
            self._compare(wanted, number)
            self._rest()

    def _chosen(self, wanted: Wanted, number: int, able: tuple[int, ...], last: int | None) -> int:
        if number >= len(wanted.actors):
            return usual(able, last)
        if (actor := wanted.actors[number]) in able:
            return actor
        if self._deadlock_at is not None:  # whose statement the server has ended is its own choice
            return usual(able, last)
        found = self._actors[actor]
        why = "its request is over" if found.state == "done" else f"it waits{self._for(found)}"
        raise Astray(f"step {number + 1} is to be {letter(actor)}'s, but {why}")

    def _for(self, actor: Actor) -> str:
        return f" for a lock of {' and '.join(map(letter, sorted(actor.blockers)))}" if actor.blockers else ""

    def _compare(self, wanted: Wanted, number: int) -> None:
        if number >= len(wanted.expected) or self._deadlock_at is not None:
            return
        was, now = wanted.expected[number], self._steps[number]
        if was.label != now.label:
            before, after = (f"{each.says or 'begins'} {each.place}".strip() for each in (was, now))
            raise Astray(f"step {number + 1}, {letter(now.actor)}'s, was {before} and now is {after}")

    def _go(self, actor: Actor, *, cut: bool) -> None:
        """Let it go with its request, or with the statement at which it is held."""
        if actor.state == "ready":
            actor.state = "running"
            self._note(actor, Step(actor.index))
            actor.begin.set()
            return
        assert actor.place is not None
        server, connection = actor.place
        note = self._note_of(actor)
        self._note(actor, self._step_of(actor, note, cut=cut))
        actor.keeps = not cut and note is not None and bool(KEEPS_LOCKS.match(note.sql))
        if cut:
            self._moved_on(actor)
            self._case.ports[server].act("fin", connection)
        else:
            actor.state = "sent"
            actor.since = clock.now()
            self._sent.add(actor.place)
            self._case.ports[server].resume(connection)

    def _note(self, actor: Actor, step: Step) -> None:
        actor.step = len(self._steps)
        actor.blockers = frozenset()
        actor.stuck = False
        self._steps.append(step)

    def _locks_went(self) -> None:
        """Somebody may have given a lock back: ask again who waits for whom."""
        for actor in self._actors:
            actor.stuck = False

    def _note_of(self, actor: Actor) -> Note | None:
        assert actor.act is not None
        assert actor.place is not None
        # The thread that has the connection goes first: another one of the request may be connecting just then.
        holder = self._sources.holders.get(self._ports.get(actor.place, -1))
        threads = sorted(actor.threads, key=lambda thread: thread != holder)
        notes = (self._sources.note_at(actor.act.at_ns, thread) for thread in threads)
        return next((each for each in notes if each is not None), None)

    def _step_of(self, actor: Actor, note: Note | None, *, cut: bool) -> Step:
        assert actor.act is not None
        says = note.says if note is not None else actor.act.verb.replace("other", "") or "a statement"
        return Step(actor.index, says, note.place if note is not None else "", cut=cut)

    # -- rest

    def _rest(self) -> None:
        """Wait until nothing moves any more. Raises Astray when something does for too long."""
        ends = clock.now() + self._stage.patience
        pause = self._stage.first_poll
        moved = clock.now()
        while True:
            if self._nobody_moves():
                return
            if self._hear(pause):
                pause, moved = self._stage.first_poll, clock.now()
                continue
            sent = [actor for actor in self._actors if actor.state == "sent"]
            running = [actor for actor in self._actors if actor.state in ("running", "arriving")]
            if self._blocked(sent) and self._wait_in_python(running, moved):
                return
            if clock.now() > ends:
                raise Astray(f"the requests do not come to rest: {self._doing()}")
            pause = min(pause * 2, LONGEST_POLL)

    def _nobody_moves(self) -> bool:
        """Whether all are known to be at rest without a look at anything."""
        return self._news.empty() and all(map(_rests, self._actors))

    def _wait_for_change(self) -> None:
        """Nobody can be let go: the server ends a deadlock, a sleep ends, or a session that is left open blocks."""
        done = [actor for actor in self._actors if actor.state == "done" and not actor.leave.is_set()]
        blockers = frozenset[int]().union(*(actor.blockers for actor in self._actors if actor.state == "sent"))
        if guilty := [actor for actor in done if actor.index in blockers]:
            self._held_open += len(guilty)
            for actor in guilty:
                actor.leave.set()
        elif not clock.wait_until(lambda: self._hear(LONGEST_POLL), self._stage.patience):
            raise Astray(f"the requests wait for ever: {self._doing()}")
        self._rest()

    def _doing(self) -> str:
        words = {"sent": "waits for the server", "running": "is busy or waits in Python", "arriving": "connects"}
        return ", ".join(
            f"{letter(actor.index)} {words.get(actor.state, actor.state)}{self._for(actor)}"
            for actor in self._actors
            if actor.state != "done"
        )

    def _blocked(self, sent: Sequence[Actor]) -> bool:
        """Whether each statement that is under way waits for a lock of another actor, by the server."""
        pids = {pid: self._owners[place] for place, pid in self._pids.items() if place in self._owners}
        for number, server in enumerate(self._stage.ground.servers):
            here = [each for each in sent if each.place is not None and each.place[0] == number and not each.stuck]
            asked = {self._pids.get(actor.place, 0): actor for actor in here if actor.place is not None}
            found = server.blocking(asked)
            for pid, actor in asked.items():
                others = frozenset(pids[one] for one in found.get(pid, ()) if one in pids) - {actor.index}
                if not others:
                    return False
                actor.blockers, actor.stuck = others, True
                step = self._steps[actor.step]
                if not step.waits_for:
                    self._steps[actor.step] = replace(step, waits_for=tuple(sorted(others)))
        return True

    def _wait_in_python(self, running: Sequence[Actor], moved: float) -> bool:
        """Whether no thread is inside Django's database layer nor uses the processor: they wait for something else."""
        if not running:
            return True
        if any(actor.state == "arriving" for actor in running):
            return False
        if any(self._sources.inside(thread) for actor in running for thread in actor.threads):
            return False
        if any(_sleeps(thread) for actor in running for thread in actor.natives):
            return False  # it goes on by itself, and when it does is not to depend on luck
        quiet = clock.now() - moved
        if quiet < GLANCE or (used := _used_by_threads()) is None:
            return False
        here = {thread: used.get(thread, -1) for actor in running for thread in actor.natives}
        if here.items() <= self._waiting.items():  # not one of them has moved since it was seen to wait
            return True
        if quiet < QUIET:
            return False
        clock.pause(GLANCE)
        if not self._news.empty() or _used_by_threads() != used:
            return False
        self._waiting.update(here)
        return True

    # -- news

    def _hear(self, seconds: float) -> bool:
        """Take in what has happened, waiting so long for the first; whether there was anything."""
        heard = False
        try:
            news = self._news.get(timeout=seconds)
            while True:
                heard = self._take(news) or heard
                news = self._news.get_nowait()
        except Empty:
            return heard

    def _take(self, news: _News) -> bool:
        """Whether it was something that changes what an actor does."""
        if isinstance(news, _Arrived):
            self._actors[news.actor].state = "ready"
            return True
        if isinstance(news, _Answered):
            self._locks_went()
            actor = self._actors[news.actor]
            if actor.state == "held" and actor.place is not None and actor.act is not None:
                actor.behind.append((actor.place, actor.act))
            actor.state, actor.answer = "done", news.answer
            for thread, block in self._sources.swallowed:
                if thread in actor.threads:
                    self._swallowed[news.actor] = block
            for (server, connection), _ in actor.behind:  # of threads that nobody waits for
                self._case.ports[server].resume(connection)
            actor.threads.clear()  # those that served it end, and their numbers are given to others
            return True
        server, record = news
        place = server, record.connection
        if isinstance(record, Act):
            self._pids[place] = record.pid
            return record.way == "stall" and self._held(place, record)
        assert isinstance(record, Message)
        if record.sqlstate == DEADLOCK and self._deadlock_at is None:
            self._deadlock_at = len(self._steps)
        return record.type == READY and self._ready(place, record.tx)

    def _held(self, place: Place, act: Act) -> bool:
        """A statement is held: whose it is, unless a connection is still being set up, which is no step."""
        thread = self._sources.holders.get(self._ports.get(place, -1))
        if thread is None or self._set_up(thread):
            self._case.ports[place[0]].resume(place[1])
            return False
        going = [each for each in self._actors if each.state != "done"]
        actor = next((each for each in going if thread in each.threads), None) or self._adopted(thread)
        self._owners[place] = actor.index
        if actor.state in ("held", "sent"):
            actor.behind.append((place, act))
            return False
        actor.state, actor.place, actor.act = "held", place, act
        return True

    def _set_up(self, holder: int) -> bool:
        """Whether it belongs to the connection and not to the request: said within connect(), by its holder or by a
        thread that gets it from a pool meanwhile, or to see whether the connection lives.
        """
        if self._sources.inside(holder):
            return self._sources.is_inside(holder, "connect") or self._sources.inside(holder) == "check"
        return any(self._sources.is_inside(thread, "connect") for each in self._actors for thread in each.threads)

    def _adopted(self, thread: int) -> Actor:
        """A thread that serves an actor's request, or that the request has started: the one's that runs."""
        running = [actor for actor in self._actors if actor.state in ("running", "arriving")]
        actor = max(running or self._actors, key=lambda each: each.step)
        actor.threads.add(thread)
        actor.alone = False
        return actor

    def _moved_on(self, actor: Actor) -> None:
        """Its statement is over."""
        actor.state = "running"
        if actor.behind:
            actor.state = "held"
            actor.place, actor.act = actor.behind.pop(0)

    def _ready(self, place: Place, tx: str) -> bool:
        self._sent.discard(place)
        for actor in self._actors:
            if actor.state == "sent" and actor.place == place:
                if tx != IN_TRANSACTION or not actor.keeps:
                    self._locks_went()
                self._moved_on(actor)
                actor.blockers = frozenset()
                if not self._steps[actor.step].waits_for:
                    usual = self._stage.usual
                    self._stage.usual += WEIGHT * (clock.now() - actor.since - usual)
                return True
        return False


def _rests(actor: Actor) -> bool:
    """Whether it is known to do nothing: another thread of a request that works with several may come at any time."""
    if actor.state in ("held", "sent"):
        return actor.alone and (actor.state == "held" or actor.stuck)
    return actor.state in ("ready", "done")


TASKS: Final = Path("/proc/self/task")


NANOSLEEP: Final = {"x86_64": "230", "aarch64": "115"}.get(platform.machine(), "")
"""The system call that time.sleep is."""


def _sleeps(task: int) -> bool:
    """Whether a thread is in time.sleep, where the kernel tells."""
    try:
        return (TASKS / str(task) / "syscall").read_text().partition(" ")[0] == NANOSLEEP
    except OSError:
        return False


def _used_by_threads() -> dict[int, int] | None:
    """Nanoseconds of the processor that each thread but this one has used; None while one of them runs or reads a disk.

    Where the kernel does not tell (not Linux), nothing is seen to run.
    """
    own = threading.get_native_id()
    used = {}
    try:
        tasks = os.listdir(TASKS)  # names alone
    except OSError:
        return {}
    for task in tasks:
        if int(task) == own:
            continue
        try:
            state = (TASKS / task / "stat").read_text().rpartition(")")[2].split()[0]
            spent = (TASKS / task / "schedstat").read_text().split()[0]
        except (OSError, IndexError):  # it has ended meanwhile
            continue
        if state in ("R", "D"):
            return None
        used[int(task)] = int(spent)
    return used
