"""Weaving: one program per actor, made into one order of steps without what could have no effect.

A program is a lifecycle and a list of turns, and a turn is `(go, act)`: what to do, and which actor goes first. A turn
that forks has the child's turns with it. The schedule is those
small integers: 0 goes on with this actor, k lets the k-th other runnable one work before it. Any list is valid, and
leaving integers out means sequential. Each integer stands beside its act, so that taking an act out takes its place
in the schedule out as well: shrinking then never has to do both at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from lab.fault import FAULTS, Fault
from lab.records.lifecycle import TELLS, Lifecycle
from lab.records.plan import (
    ActorStep,
    Autocommit,
    Begin,
    Close,
    Commit,
    Elapse,
    End,
    Enter,
    Exit,
    Fail,
    FaultSpec,
    Finish,
    Fork,
    Heal,
    Inject,
    Leave,
    Look,
    Read,
    Rollback,
    Sql,
    Step,
    Stop,
    Write,
)

CHILDREN = 2
"""Processes that one plan forks at most."""
BARE: tuple[Lifecycle, ...] = ("command", "thread")
"""Units of which Django hears neither end: a command's on the main thread, an executor's on any other."""

Act = ActorStep | FaultSpec | Heal | Elapse
"""What a turn does: a step of the actor whose turn it is, a fault, or the end of all faults."""


@dataclass(frozen=True)
class Turn:
    """One act, and which other actor works first: 0 none, k the k-th other one that still has something to do."""

    act: Act
    go: int = 0
    child: tuple[Turn, ...] = ()
    """What the child process does, where the act is a fork."""


@dataclass(frozen=True)
class Program:
    """What one actor does, in units of work of which Django is told what `lifecycle` says."""

    turns: tuple[Turn, ...]
    lifecycle: Lifecycle = "request"


def weave(programs: Sequence[Program], *, keeps: bool = True) -> tuple[Step, ...]:
    """The programs of `t0`, `t1`, … in one order, without what could have no effect.

    `begin` goes before what needs a unit of work. An actor that waits for a fault to end or holds the server is not
    asked for more than it can give: the heal, or the actor that holds, comes first. Only a request may end inside an
    atomic block: a `with` statement of others is always left. Autocommit is switched off only in units of whose end
    Django is told: elsewhere the next unit hears what became of the work of this one.
    """
    return tuple(_Loom(programs, keeps).steps())


def lifecycles(programs: Sequence[Program]) -> dict[str, Lifecycle]:
    """What the units of work of `t0`, `t1`, … are; the children that an actor forks have its own."""
    return {f"t{number}": _own(f"t{number}", each.lifecycle) for number, each in enumerate(programs)}


def _own(actor: str, lifecycle: Lifecycle) -> Lifecycle:
    """A command is the main thread's, an executor's thread is any other."""
    return lifecycle if lifecycle not in BARE else "command" if actor == "t0" else "thread"


@dataclass
class _Actor:
    """One actor's program, and what is known of it without running it."""

    name: str
    turns: list[Turn]
    lifecycle: Lifecycle = "request"
    in_request: bool = False
    depth: int = 0
    entered: int = 0  # blocks that are not left by a step, whatever has gone wrong
    inherited: bool = False  # a forked child, inside the block of its parent
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

    def __init__(self, programs: Sequence[Program], keeps: bool) -> None:
        names = (f"t{number}" for number in range(len(programs)))
        self._actors = [
            _Actor(name, list(each.turns), _own(name, each.lifecycle))
            for name, each in zip(names, programs, strict=True)
        ]
        self._children = 0
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
            self._take(actor, turn)
        for each in self._actors:
            self._leave_all(each)
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

    def _take(self, actor: _Actor, turn: Turn) -> None:
        actor.turns.pop(0)
        actor.went = False
        act = turn.act
        if isinstance(act, FaultSpec):
            self._inject(act)
        elif isinstance(act, Heal):
            if self._lasting:
                self._heal()
        elif isinstance(act, Elapse):
            if not self._waits and self._holder is None:  # a call that is under way would be late all of a sudden
                self._steps.append(act)
        elif isinstance(act, Fork):
            self._fork(actor, turn.child)
        else:
            self._act(actor, msgspec.structs.replace(act, actor=actor.name))

    # -- actors -------------------------------------------------------------------------------------------------------

    def _act(self, actor: _Actor, step: ActorStep) -> None:
        if not _sensible(actor, step):
            return
        taken = actor.inherited or (self._holder is not None and self._holder is not actor)
        if isinstance(step, Read | Write) and step.hold and taken:
            step = msgspec.structs.replace(step, hold=False if isinstance(step, Read) else "")  # one at a time
        if not actor.in_request and not isinstance(step, Stop | Exit | Finish):
            self._emit(actor, Begin(actor.name))
        if isinstance(step, End | Stop):
            self._leave_all(actor)
        self._emit(actor, step)

    def _fork(self, actor: _Actor, turns: tuple[Turn, ...]) -> None:
        """Where nothing is under way that the child would inherit half done."""
        waits = self._waits or self._holder is not None
        inside = actor.lifecycle != "request" and actor.entered
        if waits or inside or actor.over or actor.lifecycle == "thread" or self._children >= CHILDREN:
            return
        child = f"c{self._children}"
        self._children += 1
        self._emit(actor, Fork(actor.name, child))
        clone = replace(actor, name=f"{child}.t0", turns=list(turns), connected=False, stepped=False)
        clone.inherited = actor.depth > 0 or actor.manual
        self._actors.append(clone)

    def _leave_all(self, actor: _Actor) -> None:
        """In any unit but a request: leave every block that is open, or that may still be after an error."""
        if actor.lifecycle == "request" or actor.stopped:
            return
        while actor.entered:
            self._emit(actor, Leave(actor.name))

    def _emit(self, actor: _Actor, step: ActorStep) -> None:
        self._make_way(actor)
        held = _held(actor, step)
        self._steps.append(step)
        if actor.connected and not isinstance(step, Begin | Stop | Exit | Fork):
            self._unmet = None
        actor.stepped = True
        left_open = actor.depth > 0
        _follow(actor, step, self._refused)
        if isinstance(step, Finish) or (
            isinstance(step, Begin | End) and TELLS[actor.lifecycle][isinstance(step, End)]
        ):
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
            self._leave_all(holder)
            if not holder.in_request:  # it is held in the end of its request: the next one is due then
                self._emit(holder, Begin(holder.name))
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
        return not actor.name.endswith("t0")
    if isinstance(step, Exit):
        return "." in actor.name
    if isinstance(step, Finish):
        return actor.lifecycle == "stream" and not actor.in_request
    if actor.over and not isinstance(step, End):
        return False
    if actor.inherited and not isinstance(step, Read | End):
        return False  # what else is done there is done to a block of another process
    if isinstance(step, End | Close):
        return actor.in_request
    if isinstance(step, Leave):
        return actor.depth > 0
    if isinstance(step, Commit | Rollback):
        return actor.manual and not actor.depth
    if isinstance(step, Autocommit):
        return step.on == actor.manual and not actor.depth and bool(TELLS[actor.lifecycle][True])
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
            actor.in_request = actor.manual = actor.hit = actor.over = actor.inherited = False
            actor.depth = actor.entered = 0
        case Enter():
            actor.depth += 1
            actor.entered += 1
        case Leave():
            actor.depth = max(actor.depth - 1, 0)
            actor.entered -= 1
        case Autocommit():
            actor.manual = not step.on
        case Close():
            actor.connected, actor.hit = False, actor.hit or actor.depth > 0
        case Stop() | Exit():
            actor.stopped, actor.in_request, actor.connected = True, False, False
    if isinstance(step, Read | Write | Enter | Fail | Autocommit | Look | Sql):
        of_default = step.alias == "default"
        fails = actor.hit or (refused and not (actor.connected and of_default))
        actor.connected = not fails if of_default else actor.connected
        if (fails or isinstance(step, Fail)) and not getattr(step, "swallow", False):
            actor.over, actor.depth = True, 0


def _after_end(turns: list[Turn]) -> int:
    """The index after the first turn that ends a request, or 0: the rest is then a request of its own."""
    return next((index + 1 for index, turn in enumerate(turns) if isinstance(turn.act, End)), 0)
