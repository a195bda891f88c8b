"""Random plans, drawn by Hypothesis: one program per actor, woven into one order of steps.

A program is a list of turns, and a turn is `(go, act)`: what to do, and which actor goes first. The schedule is those
small integers: 0 goes on with this actor, k lets the k-th other runnable one work before it. Any list is valid, and
leaving integers out means sequential. Each integer stands beside its act so that taking an act out takes its place
in the schedule out as well: shrinking then never has to do both at once.

Everything is ordered so that simpler is smaller: fewer actors, fewer turns, `t0` before `t1`, a read before a write,
`sever-fin` before all other faults, and default parameters before others. `begin` is implied, and so is the `end` of
the last request, which the run's liveness phase supplies: a shrunk plan holds only what matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from lab.errors import PlanInvalid
from lab.explore.shrink import FIRST_KINDS, MOMENTS
from lab.fault import FAULTS, Fault, build
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
    Plan,
    Read,
    Rollback,
    Step,
    Stop,
    Write,
)
from lab.records.variant import Variant

ACTORS = 3
TURNS = 8  # of one actor, at most: two or three short requests

Act = ActorStep | FaultSpec | Heal
"""What a turn does: a step of whichever actor's turn it is, a fault, or the end of all faults."""


@dataclass(frozen=True)
class Turn:
    """One act, and which other actor works first: 0 none, k the k-th other one that still has something to do."""

    act: Act
    go: int = 0


# -- what is drawn ----------------------------------------------------------------------------------------------------

ANY = ""  # the actor of a step that is not yet anybody's
SELDOM = st.sampled_from((False, False, False, False, True))
READ = st.builds(Read, st.just(ANY), hold=SELDOM, swallow=SELDOM)
WRITE = st.builds(Write, st.just(ANY), hold=st.sampled_from(("", "statement", "commit", *("",) * 6)), swallow=SELDOM)
ENTER = st.builds(Enter, st.just(ANY), savepoint=st.sampled_from((True, True, True, True, False)))
LEAVE = st.builds(Leave, st.just(ANY), outcome=st.sampled_from(("commit", "rollback", "commit")))
END = st.just(End(ANY))
CLOSE = st.just(Close(ANY))
AUTOCOMMIT = st.builds(Autocommit, st.just(ANY), on=SELDOM)
COMMIT = st.just(Commit(ANY))
ROLLBACK = st.just(Rollback(ANY))
FAIL = st.builds(Fail, st.just(ANY), cause=st.sampled_from(("unique", "statement_timeout")), swallow=SELDOM)
STOP = st.just(Stop(ANY))
HEAL = st.just(Heal())

COMMON = (READ, WRITE, ENTER, LEAVE, END)
RARE = (CLOSE, AUTOCOMMIT, COMMIT, ROLLBACK, FAIL, STOP)
GO = st.sampled_from((0, 1, 2, 0, 0, 0, 1))
CHEAP: dict[str, tuple[int, ...]] = {
    "_ms": (10, 20, 50),
    "_us": (200, 500),
    "_bytes": (0, 1, 6, 20, 100, 400),
    "": (0, 1, 2, 3, 4),
}
"""By their unit, values that cost little time; a fault's own limits are kept."""


def plans(
    variant: Variant, capabilities: Iterable[str] | None = None, *, keeps: bool = True, seed: int = 0
) -> st.SearchStrategy[Plan]:
    """Whole plans for `variant`, with every registered fault that a rig of these `capabilities` (default: all) can do.

    `keeps`: whether the variant keeps sessions between requests; where it does not, no fault is drawn that could
    only strike an idle one. `seed` is written into the plans.
    """

    def plan(programs: Sequence[Sequence[Turn]]) -> Plan:
        return Plan(variant=variant, steps=weave(programs, keeps=keeps), source="random", seed=seed)

    kinds = [cls for cls in FAULTS.values() if capabilities is None or cls.needs <= frozenset(capabilities)]
    program = st.lists(turns(kinds), min_size=1, max_size=TURNS)
    return st.lists(program, min_size=1, max_size=ACTORS).map(plan).filter(lambda plan: bool(plan.actors()))


def turns(kinds: Sequence[type[Fault]]) -> st.SearchStrategy[Turn]:
    """One turn; `kinds` are the faults that it may be."""
    faults = fault_specs(kinds)

    # In the order of their simplicity; what comes again at the end comes more often.
    menu: st.SearchStrategy[st.SearchStrategy[Any]] = st.sampled_from(
        (*COMMON, faults, HEAL, *RARE, *COMMON * 3, *(faults,) * 4)
    )

    @st.composite
    def turn(draw: st.DrawFn) -> Turn:
        go = draw(GO)
        return Turn(draw(draw(menu)), go)

    return turn()


def fault_specs(kinds: Sequence[type[Fault]]) -> st.SearchStrategy[FaultSpec]:
    """Any of the faults with parameters that it takes; those that cut once come often, those that run alone seldom."""
    ranked = sorted(kinds, key=lambda cls: (_rank(cls), cls.kind))
    often = [cls for cls in ranked for _ in range(_weight(cls) - 1)]
    return st.sampled_from(ranked + often).flatmap(_spec)


def _rank(cls: type[Fault]) -> tuple[int, ...]:
    first = FIRST_KINDS.index(cls.kind) if cls.kind in FIRST_KINDS else len(FIRST_KINDS)
    return first, cls.exclusive, cls.waits, cls.lazy, cls.lasting


def _weight(cls: type[Fault]) -> int:
    """How often a fault is drawn: a plain cut most of all, a restart seldom, because it costs ten times as much."""
    if cls.kind in FIRST_KINDS:
        return 12
    if cls.exclusive or cls.waits:
        return 1
    return 2 if cls.lasting or cls.lazy else 4


def _valid(spec: FaultSpec) -> bool:
    """Whether the fault takes these parameters together."""
    try:
        build(spec)
    except PlanInvalid:
        return False
    return True


@cache
def _spec(cls: type[Fault]) -> st.SearchStrategy[FaultSpec]:
    hints = get_type_hints(cls, include_extras=True)
    values = {info.name: _values(info.name, hints[info.name], info.default) for info in msgspec.structs.fields(cls)}

    def spec(params: dict[str, Any]) -> FaultSpec:
        # What is left at its default is not written down.
        return FaultSpec(cls.kind, {name: value for name, value in params.items() if value != values[name][0]})

    choices = {name: st.sampled_from(options) for name, options in values.items() if len(options) > 1}
    return st.fixed_dictionaries(choices).map(spec).filter(_valid) if choices else st.just(FaultSpec(cls.kind))


def _values(name: str, kind: Any, default: Any) -> list[Any]:
    """Values of one parameter of a fault, the default first; just the default when nothing is known of it."""
    if name == "moment":
        options: Iterable[Any] = MOMENTS
    elif name == "sides":
        return [default]  # whoever is not told that a connection has ended waits for it until the bound
    elif get_origin(kind) is Literal:
        options = get_args(kind)
    elif kind is bool:
        options = (False, True)
    else:
        least, most = 0, 1 << 62
        for meta in getattr(kind, "__metadata__", ()):
            least = max(least, getattr(meta, "ge", None) or 0)
            most = min(most, most if (le := getattr(meta, "le", None)) is None else le)
        if getattr(kind, "__origin__", kind) is not int:
            return [default]
        cheap = next(values for unit, values in CHEAP.items() if name.endswith(unit))
        options = [value for value in cheap if least <= value <= most]
        if default not in options and options and default > options[-1]:
            return [*options]  # a default that takes long is left to the directed plans
    return [default, *(option for option in options if option != default)]


# -- weaving ----------------------------------------------------------------------------------------------------------


def weave(programs: Sequence[Sequence[Turn]], *, keeps: bool = True) -> tuple[Step, ...]:
    """The programs of `t0`, `t1`, … in one order, without what could have no effect.

    `begin` goes before what needs a request. An actor that waits for a fault to end or holds the server is not asked
    for more than it can give: the heal, or the actor that holds, comes first.
    """
    return tuple(_Loom(programs, keeps).steps())


@dataclass
class _Lane:
    """One actor's program, and what is known of it without running it."""

    actor: str
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
        self._lanes = [_Lane(f"t{number}", list(program)) for number, program in enumerate(programs)]
        self._keeps = keeps
        self._steps: list[Step] = []
        self._holder: _Lane | None = None
        self._refused = False  # whoever is not connected cannot connect
        self._waits = False  # a fault is on that may make any step wait until it ends
        self._lasting: list[type[Fault]] = []
        self._alone = False
        self._way: type[Fault] | None = None
        self._unmet: Inject | None = None  # a lazy fault that nothing has come after

    def steps(self) -> list[Step]:
        lane = self._lanes[0] if self._lanes else None
        while lane is not None and (lane := self._next(lane)) is not None:
            turn = lane.turns[0]
            if turn.go and not lane.went and (others := self._others(lane)):
                lane.went = True
                lane = others[(turn.go - 1) % len(others)]
                continue
            self._take(lane, turn.act)
        if self._waits and any(each.stepped for each in self._lanes):
            self._heal()
        self._forget_unmet()
        return self._steps

    def _next(self, lane: _Lane) -> _Lane | None:
        """The lane itself while it has turns, then the first that has."""
        return lane if lane.runnable else next((each for each in self._lanes if each.runnable), None)

    def _others(self, lane: _Lane) -> list[_Lane]:
        place = self._lanes.index(lane)
        return [each for each in (*self._lanes[place + 1 :], *self._lanes[:place]) if each.runnable]

    def _take(self, lane: _Lane, act: Act) -> None:
        lane.turns.pop(0)
        lane.went = False
        if isinstance(act, FaultSpec):
            self._inject(act)
        elif isinstance(act, Heal):
            if self._lasting:
                self._heal()
        else:
            self._act(lane, msgspec.structs.replace(act, actor=lane.actor))

    # -- actors -------------------------------------------------------------------------------------------------------

    def _act(self, lane: _Lane, step: ActorStep) -> None:
        if not _sensible(lane, step):
            return
        if isinstance(step, Read | Write) and step.hold and self._holder is not None and self._holder is not lane:
            step = msgspec.structs.replace(step, hold=False if isinstance(step, Read) else "")  # one at a time
        if not lane.in_request and not isinstance(step, Stop):
            self._emit(lane, Begin(lane.actor))
        self._emit(lane, step)

    def _emit(self, lane: _Lane, step: ActorStep) -> None:
        self._make_way(lane)
        held = _held(lane, step)
        self._steps.append(step)
        if lane.connected and not isinstance(step, Begin | Stop):
            self._unmet = None
        lane.stepped = True
        left_open = lane.depth > 0
        _follow(lane, step, self._refused)
        if isinstance(step, End):
            lane.connected = lane.connected and self._keeps and not left_open
        if held:
            self._holder = lane
            self._forget_steps()

    def _make_way(self, lane: _Lane) -> None:
        """Before a second step of a lane whose first may wait: end what it may wait for."""
        if self._waits and lane.stepped:
            self._heal()
        holder = self._holder
        if holder is lane:
            self._holder = None
        elif holder is not None and (lane.stepped or not lane.in_request):
            # The run opens the server's hold when the holder's next step is due, and that has to be before this one.
            self._holder = None
            if self._waits and holder.stepped:
                self._heal()
            self._emit(holder, End(holder.actor))
            holder.turns = [] if not holder.turns else holder.turns[_after_end(holder.turns) :]
            self._forget_steps()

    def _forget_steps(self) -> None:
        for each in self._lanes:
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
        """Whether the fault would find something to strike, as far as one can tell without running the plan.

        `commits`: it strikes at a COMMIT.
        """
        if self._waits or (cls.exclusive and self._alone):
            return False  # behind silence nothing is seen; one restart is enough
        if cls.lasting and self._lasting:
            return False  # one hides the other
        if self._refused and (cls.exclusive or cls.lazy):
            return False  # it would be seen by connecting
        busy = [each for each in self._lanes if each.connected and each.in_request]
        if cls.family == "client":
            return self._holder is self._lanes[0]
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
        return any(each.connected for each in self._lanes)

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
        """A fault that is seen only when somebody meets it, and that nobody can have met, was none."""
        if self._unmet is not None:
            self._steps = [step for step in self._steps if step is not self._unmet]
            self._lasting.clear()  # there is only one at a time
            self._unmet = None

    def _lose_connections(self) -> None:
        for lane in self._lanes:
            lane.connected = False
            lane.hit = lane.hit or lane.in_request


def _sensible(lane: _Lane, step: ActorStep) -> bool:
    """Whether the step would do something here."""
    if isinstance(step, Stop):
        return lane.actor != "t0"
    if lane.over and not isinstance(step, End):
        return False
    if isinstance(step, End | Close):
        return lane.in_request
    if isinstance(step, Leave):
        return lane.depth > 0
    if isinstance(step, Commit | Rollback):
        return lane.manual and not lane.depth
    if isinstance(step, Autocommit):
        return step.on == lane.manual and not lane.depth
    return True


def _held(lane: _Lane, step: ActorStep) -> bool:
    """Whether the server will hold the lane in this very step."""
    if isinstance(step, Read):
        return step.hold
    if isinstance(step, Write):
        return step.hold == "statement" or (step.hold == "commit" and not lane.depth and not lane.manual)
    commits = isinstance(step, Commit | End | Close) or (isinstance(step, Leave) and lane.depth == 1)
    return lane.held_commit and (commits or isinstance(step, Autocommit))


def _follow(lane: _Lane, step: ActorStep, refused: bool) -> None:
    """What the lane is like after the step, if nothing goes wrong that cannot be foreseen."""
    if isinstance(step, Write) and not _held(lane, step):
        lane.held_commit = lane.held_commit or step.hold == "commit"
    elif _held(lane, step) or isinstance(step, Rollback | Leave):
        lane.held_commit = False
    match step:
        case Begin():
            lane.in_request = True
        case End():
            lane.in_request = lane.manual = lane.hit = lane.over = False
            lane.depth = 0
        case Enter():
            lane.depth += 1
        case Leave():
            lane.depth -= 1
        case Autocommit():
            lane.manual = not step.on
        case Close():
            lane.connected, lane.hit = False, lane.hit or lane.depth > 0
        case Stop():
            lane.stopped, lane.in_request = True, False
    if isinstance(step, Read | Write | Enter | Fail | Autocommit):
        fails = lane.hit or (refused and not lane.connected)
        lane.connected = not fails
        if (fails or isinstance(step, Fail)) and not getattr(step, "swallow", False):
            lane.over, lane.depth = True, 0


def _after_end(turns: list[Turn]) -> int:
    """The index after the first turn that ends a request, or 0: the rest is then a request of its own."""
    return next((index + 1 for index, turn in enumerate(turns) if isinstance(turn.act, End)), 0)
