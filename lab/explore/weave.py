"""Weaving: one program per actor, made into one order of steps without what could have no effect.

A program is a list of turns, and a turn is `(go, act)`: what to do, and which actor goes first. The schedule is those
small integers: 0 goes on with this actor, k lets the k-th other runnable one work before it. Any list is valid, and
leaving integers out means sequential. Each integer stands beside its act, so that taking an act out takes its place
in the schedule out as well: shrinking then never has to do both at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from lab.fault import FAULTS, Fault
from lab.records.plan import (
    ActorStep,
    Autocommit,
    Begin,
    Close,
    Commit,
    End,
    Enter,
    Fail,
    FaultSpec,
    Heal,
    Inject,
    Leave,
    Read,
    Rollback,
    Step,
    Stop,
    Write,
)

Act = ActorStep | FaultSpec | Heal
"""What a turn does: a step of the actor whose turn it is, a fault, or the end of all faults."""


@dataclass(frozen=True)
class Turn:
    """One act, and which other actor works first: 0 none, k the k-th other one that still has something to do."""

    act: Act
    go: int = 0


def weave(programs: Sequence[Sequence[Turn]], *, keeps: bool = True) -> tuple[Step, ...]:
    """The programs of `t0`, `t1`, … in one order, without what could have no effect.

    `begin` goes before what needs a request. An actor that waits for a fault to end or holds the server is not asked
    for more than it can give: the heal, or the actor that holds, comes first.
    """
    return tuple(_Loom(programs, keeps).steps())


@dataclass
class _Actor:
    """One actor's program, and what is known of it without running it."""

    name: str
    turns: list[Turn]
    in_request: bool = False
    depth: int = 0
    manual: bool = False  # autocommit is off
    connected: bool = False
    hit: bool = False  # a fault struck while it was in a request: what follows may fail
    over: bool = False  # an error has left the view, the rest of the request is skipped
    stopped: bool = False
    held_commit: bool = False  # a row of the open transaction holds its COMMIT
    stepped: bool = False  # since something began that may make it wait
    went: bool = False  # the next turn has let others go first

    @property
    def runnable(self) -> bool:
        return bool(self.turns) and not self.stopped


class _Loom:
    """Weaves once."""

    def __init__(self, programs: Sequence[Sequence[Turn]], keeps: bool) -> None:
        self._actors = [_Actor(f"t{number}", list(program)) for number, program in enumerate(programs)]
        self._keeps = keeps
        self._steps: list[Step] = []
        self._holder: _Actor | None = None
        self._refused = False  # an actor that is not connected cannot connect
        self._waits = False  # a fault is on that may make any step wait until it ends
        self._lasting: list[type[Fault]] = []
        self._alone = False
        self._way: type[Fault] | None = None
        self._unmet: Inject | None = None  # a lazy fault that nothing has come after

    def steps(self) -> list[Step]:
        actor = self._actors[0] if self._actors else None
        while actor is not None and (actor := self._next(actor)) is not None:
            turn = actor.turns[0]
            if turn.go and not actor.went and (others := self._others(actor)):
                actor.went = True
                actor = others[(turn.go - 1) % len(others)]
                continue
            self._take(actor, turn.act)
        if self._waits and any(each.stepped for each in self._actors):
            self._heal()
        self._forget_unmet()
        return self._steps

    def _next(self, actor: _Actor) -> _Actor | None:
        """The actor itself while it has turns, then the first that has."""
        return actor if actor.runnable else next((each for each in self._actors if each.runnable), None)

    def _others(self, actor: _Actor) -> list[_Actor]:
        place = self._actors.index(actor)
        return [each for each in (*self._actors[place + 1 :], *self._actors[:place]) if each.runnable]

    def _take(self, actor: _Actor, act: Act) -> None:
        actor.turns.pop(0)
        actor.went = False
        if isinstance(act, FaultSpec):
            self._inject(act)
        elif isinstance(act, Heal):
            if self._lasting:
                self._heal()
        else:
            self._act(actor, msgspec.structs.replace(act, actor=actor.name))

    # -- actors -------------------------------------------------------------------------------------------------------

    def _act(self, actor: _Actor, step: ActorStep) -> None:
        if not _sensible(actor, step):
            return
        if isinstance(step, Read | Write) and step.hold and self._holder is not None and self._holder is not actor:
            step = msgspec.structs.replace(step, hold=False if isinstance(step, Read) else "")  # one at a time
        if not actor.in_request and not isinstance(step, Stop):
            self._emit(actor, Begin(actor.name))
        self._emit(actor, step)

    def _emit(self, actor: _Actor, step: ActorStep) -> None:
        self._make_way(actor)
        held = _held(actor, step)
        self._steps.append(step)
        if actor.connected and not isinstance(step, Begin | Stop):
            self._unmet = None
        actor.stepped = True
        left_open = actor.depth > 0
        _follow(actor, step, self._refused)
        if isinstance(step, End):
            actor.connected = actor.connected and self._keeps and not left_open
        if held:
            self._holder = actor
            if not self._waits:  # in a silence it still counts who has stepped since it began
                self._forget_steps()

    def _make_way(self, actor: _Actor) -> None:
        """Before a second step of a actor whose first may wait: end what it may wait for."""
        if self._waits and actor.stepped:
            self._heal()
        holder = self._holder
        if holder is actor:
            self._holder = None
        elif holder is not None and (actor.stepped or not actor.in_request):
            # The run opens the server's hold when the holder's next step is due, and that has to be before this one.
            self._holder = None
            if self._waits and holder.stepped:
                self._heal()
            self._emit(holder, End(holder.name))
            holder.turns = [] if not holder.turns else holder.turns[_after_end(holder.turns) :]
            if not self._waits:
                self._forget_steps()

    def _forget_steps(self) -> None:
        for each in self._actors:
            each.stepped = each is self._holder

    # -- faults -------------------------------------------------------------------------------------------------------

    def _inject(self, spec: FaultSpec) -> None:
        cls = FAULTS.get(spec.kind)
        if not self._can_land(cls, commits=str(spec.params.get("moment", "")).startswith("commit")):
            return
        inject = Inject(spec)
        self._steps.append(inject)
        if cls.lazy and cls.family != "client" and self._holder is None:
            self._unmet = inject
        self._alone = self._alone or cls.exclusive
        if cls.lasting:
            self._lasting.append(cls)
            self._refused = self._refused or not (cls.heal_cuts or cls.waits or cls.lazy)
        if cls.waits:
            self._waits = True
            self._forget_steps()
        if not (cls.lazy or cls.waits or cls.heal_cuts or (cls.lasting and cls.exclusive)):
            self._lose_connections()

    def _can_land(self, cls: type[Fault], commits: bool) -> bool:
        """Whether the fault would find something to strike, as far as can be told without running the plan.

        `commits`: it strikes at a COMMIT.
        """
        if self._waits or (cls.exclusive and self._alone):
            return False  # behind silence nothing is seen; one restart is enough
        if cls.lasting and self._lasting:
            return False  # one hides the other
        if self._refused and (cls.exclusive or cls.lazy):
            return False  # it would be seen by connecting
        busy = [each for each in self._actors if each.connected and each.in_request]
        if cls.family == "client":
            return self._holder is self._actors[0]
        if commits or (cls.lazy and cls.family == "server"):
            return any(each.depth or each.manual for each in busy)
        if cls.lazy:
            return bool(busy)
        if cls.exclusive or cls.heal_cuts or (cls.lasting and not cls.waits):
            return True
        if cls.family in ("network", "loss") and not cls.lasting:
            # One way of cutting a plan: what prepares the line for its own changes what the others look like.
            self._way = self._way or cls
            if self._way is not cls:
                return False
        return any(each.connected for each in self._actors)

    def _heal(self) -> None:
        self._forget_unmet()
        if self._lasting:
            self._steps.append(Heal())
        if any(cls.heal_cuts for cls in self._lasting):
            self._lose_connections()
        self._lasting.clear()
        self._waits = self._refused = False
        self._forget_steps()

    def _forget_unmet(self) -> None:
        """Take out a fault that is seen only when an actor meets it, and that no actor can have met."""
        if self._unmet is not None:
            self._steps = [step for step in self._steps if step is not self._unmet]
            self._lasting.clear()  # there is only one at a time
            self._unmet = None

    def _lose_connections(self) -> None:
        for actor in self._actors:
            actor.connected = False
            actor.hit = actor.hit or actor.in_request


def _sensible(actor: _Actor, step: ActorStep) -> bool:
    """Whether the step would do something here."""
    if isinstance(step, Stop):
        return actor.name != "t0"
    if actor.over and not isinstance(step, End):
        return False
    if isinstance(step, End | Close):
        return actor.in_request
    if isinstance(step, Leave):
        return actor.depth > 0
    if isinstance(step, Commit | Rollback):
        return actor.manual and not actor.depth
    if isinstance(step, Autocommit):
        return step.on == actor.manual and not actor.depth
    return True


def _held(actor: _Actor, step: ActorStep) -> bool:
    """Whether the server will hold the actor in this very step."""
    if isinstance(step, Read):
        return step.hold
    if isinstance(step, Write):
        return step.hold == "statement" or (step.hold == "commit" and not actor.depth and not actor.manual)
    commits = isinstance(step, Commit | End | Close) or (isinstance(step, Leave) and actor.depth == 1)
    return actor.held_commit and (commits or isinstance(step, Autocommit))


def _follow(actor: _Actor, step: ActorStep, refused: bool) -> None:
    """What the actor is like after the step, if nothing goes wrong that cannot be foreseen."""
    if isinstance(step, Write) and not _held(actor, step):
        actor.held_commit = actor.held_commit or step.hold == "commit"
    elif _held(actor, step) or isinstance(step, Rollback | Leave):
        actor.held_commit = False
    match step:
        case Begin():
            actor.in_request = True
        case End():
            actor.in_request = actor.manual = actor.hit = actor.over = False
            actor.depth = 0
        case Enter():
            actor.depth += 1
        case Leave():
            actor.depth -= 1
        case Autocommit():
            actor.manual = not step.on
        case Close():
            actor.connected, actor.hit = False, actor.hit or actor.depth > 0
        case Stop():
            actor.stopped, actor.in_request = True, False
    if isinstance(step, Read | Write | Enter | Fail | Autocommit):
        fails = actor.hit or (refused and not actor.connected)
        actor.connected = not fails
        if (fails or isinstance(step, Fail)) and not getattr(step, "swallow", False):
            actor.over, actor.depth = True, 0


def _after_end(turns: list[Turn]) -> int:
    """The index after the first turn that ends a request, or 0: the rest is then a request of its own."""
    return next((index + 1 for index, turn in enumerate(turns) if isinstance(turn.act, End)), 0)
