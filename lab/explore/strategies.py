"""Random plans, drawn by Hypothesis: one program per actor, woven into one order of steps.

Everything is ordered so that simpler is smaller: fewer actors, fewer turns, `t0` before `t1`, a read before a write,
`sever-fin` before all other faults, default parameters before others, and a request before other units of work. `begin`
is implied, and so is the `end` of the last request, which the run's liveness phase supplies: a shrunk plan holds only
what matters. Every dimension of a situation (lab/judging/situations.py) is drawn: tests/unit/test_strategies.py counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from lab.errors import PlanInvalid
from lab.explore.simplicity import FIRST_KINDS, MOMENTS
from lab.explore.weave import Act, Program, Turn, lifecycles, weave
from lab.fault import FAULTS, Fault, build
from lab.judging.earlier import ALIASES, BLOCKS, EARLIER
from lab.judging.plan_parts import on
from lab.judging.session_state import LEAVE as STATE
from lab.records.lifecycle import Lifecycle
from lab.records.plan import (
    ActorStep,
    Autocommit,
    Close,
    Commit,
    Elapse,
    End,
    Enter,
    Exit,
    Fail,
    FailCause,
    FaultSpec,
    Finish,
    Fork,
    Heal,
    Leave,
    Look,
    Plan,
    Read,
    Rollback,
    Sql,
    Step,
    Stop,
    Write,
)
from lab.records.variant import Variant

ACTORS = 3
PHRASES = 6  # of one actor, at most: two or three short requests
FORKED = 3  # of a forked child

# -- what is drawn ----------------------------------------------------------------------------------------------------

ANY = ""  # the actor of a step until weaving gives it one
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
CAUSES: tuple[FailCause, ...] = get_args(FailCause)
FAIL = st.builds(Fail, st.just(ANY), cause=st.sampled_from(CAUSES), swallow=SELDOM)
LOOK = st.just(Look(ANY))
SETS = [STATE[kind][0] for kind in ("SET", "temp table", "advisory lock")]
ELSEWHERE = st.sampled_from(
    [
        step
        for alias in ("same", "kin", "twin", "other")
        for step in (
            *(make(ANY, alias=alias) for make in (Read, Write, Enter, Look)),
            Fail(ANY, swallow=True, alias=alias),
            Sql(ANY, SETS[0], alias=alias),
        )
    ]
)
"""Steps on another alias. They are acts of their own: an alias drawn with every turn would slow all shrinking."""
SET = st.sampled_from([Sql(ANY, text) for text in SETS])
STOP = st.just(Stop(ANY))
FORK = st.just(Fork(ANY))
EXITS: tuple[Literal["os._exit", "normal", "close_all"], ...] = ("os._exit", "normal", "close_all")
EXIT = st.builds(Exit, st.just(ANY), how=st.sampled_from(EXITS))
FINISH = st.just(Finish(ANY))
HEAL = st.just(Heal())

LIFECYCLES: tuple[Lifecycle, ...] = (
    *("request", "command", "task", "thread", "task-after", "task-before", "stream", "stream"),
    *("request",) * 8,
)
"""A request first, because that is what most applications serve; a `thread` on t0 becomes a `command`, and so on."""
COMMON = (READ, WRITE, ENTER, LEAVE, END)
RARE: tuple[st.SearchStrategy[Any], ...] = (
    CLOSE,
    AUTOCOMMIT,
    COMMIT,
    ROLLBACK,
    FAIL,
    STOP,
    FORK,
    FINISH,
    LOOK,
    SET,
    *(ELSEWHERE,) * 4,
)
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

    def plan(programs: Sequence[Program]) -> Plan:
        made = Plan(variant=variant, steps=weave(programs, keeps=keeps), source="random", seed=seed)
        units = lifecycles(programs)
        said = {
            actor: units[actor]
            for actor in made.actors()
            if units.get(actor, made.lifecycle(actor)) != made.lifecycle(actor)
        }
        return msgspec.structs.replace(made, lifecycles=said)

    kinds = [cls for cls in FAULTS.values() if not cls.fatal]
    kinds = [cls for cls in kinds if capabilities is None or cls.needs <= frozenset(capabilities)]
    program = st.builds(Program, phrases(kinds, PHRASES), st.sampled_from(LIFECYCLES))
    return st.lists(program, min_size=1, max_size=ACTORS).map(plan).filter(lambda plan: bool(plan.actors()))


def phrases(kinds: Sequence[type[Fault]], most: int, *, forked: bool = False) -> st.SearchStrategy[tuple[Turn, ...]]:
    """What one actor does: single turns, and what people do in one breath; of a child process where `forked`.

    Turns that are drawn alone seldom make a unit of work that ends, or a fault that meets the COMMIT of a block.
    """
    alone = turns(kinds, forked=forked).map(lambda turn: (turn,))
    menu = (alone, alone, IDIOM, struck(kinds), alone, IDIOM, struck(kinds), AFTER_EARLIER)
    phrase = st.sampled_from(menu).flatmap(lambda each: each)
    return st.lists(phrase, min_size=1, max_size=most).map(lambda made: tuple(turn for each in made for turn in each))


def turns(kinds: Sequence[type[Fault]], *, forked: bool = False) -> st.SearchStrategy[Turn]:
    """One turn, of a child process where `forked`; `kinds` are the faults that it may be."""
    faults = fault_specs(kinds)
    exits = (EXIT,) * 6 if forked else ()
    child = st.just(()) if forked else phrases(kinds, FORKED, forked=True)

    # In the order of their simplicity; what comes again at the end comes more often.
    menu: st.SearchStrategy[st.SearchStrategy[Any]] = st.sampled_from(
        (*COMMON, faults, HEAL, *RARE, *exits, *COMMON * 3, *(faults,) * 4)
    )

    @st.composite
    def turn(draw: st.DrawFn) -> Turn:
        go = draw(GO)
        act = draw(draw(menu))
        return Turn(act, go, draw(child) if isinstance(act, Fork) else ())

    return turn()


def struck(kinds: Sequence[type[Fault]]) -> st.SearchStrategy[tuple[Turn, ...]]:
    """A fault that meets a statement, or its COMMIT, in one of the modes of lab/judging/situations.py."""
    known = [cls.kind for cls in kinds]
    cuts = [FaultSpec(kind) for kind in (*FIRST_KINDS, "interrupt") if kind in known]

    def made(mode: str, earlier: bool, moment: str, fault: FaultSpec, go: int) -> tuple[Turn, ...]:
        opening, closing = MODES[mode]
        at_commit = moment == "COMMIT" and fault.kind == "interrupt"  # the handler raises while the server commits
        write = Write(ANY, hold="commit" if at_commit else "statement" if moment == "during" else "")
        acts: tuple[Act, ...] = (fault, write, *closing) if moment == "before" else (write, fault, *closing)
        if moment == "COMMIT":
            acts = (write, *closing[:-1], *((*closing[-1:], fault) if at_commit else (fault, *closing[-1:])))
        acts = (*opening, *((Read(ANY),) if earlier else ()), *acts, End(ANY))
        return tuple(Turn(act, go if place == len(opening) else 0) for place, act in enumerate(acts))

    modes, moments = st.sampled_from(list(MODES)), st.sampled_from(("before", "during", "COMMIT"))
    return st.builds(made, modes, st.booleans(), moments, st.sampled_from(cuts), GO) if cuts else IDIOM


def _phrase(*acts: Act) -> tuple[Turn, ...]:
    return tuple(map(Turn, acts))


MODES: dict[str, tuple[tuple[Act, ...], tuple[Act, ...]]] = {
    "autocommit": ((), ()),
    "atomic": ((Enter(ANY),), (Leave(ANY),)),
    "nested": ((Enter(ANY), Write(ANY), Enter(ANY)), (Leave(ANY), Leave(ANY))),
    "manual": ((Autocommit(ANY),), (Commit(ANY),)),
}
"""How a unit of work comes into each mode, and how it ends there."""
IDIOM = st.sampled_from(
    (
        _phrase(Read(ANY), End(ANY)),
        _phrase(Enter(ANY), Write(ANY), Leave(ANY), End(ANY)),
        _phrase(Enter(ANY), Write(ANY), Leave(ANY, "rollback"), End(ANY)),
        _phrase(Fail(ANY, swallow=True), End(ANY)),
        _phrase(Read(ANY), Close(ANY), End(ANY)),
        _phrase(Read(ANY), End(ANY), Stop(ANY)),
        _phrase(Read(ANY), End(ANY), Finish(ANY)),
        *((Turn(Fork(ANY), 0, _phrase(Exit(ANY, how))),) for how in EXITS),
        _phrase(Enter(ANY), Write(ANY), Enter(ANY), Leave(ANY, "rollback")),
        _phrase(Autocommit(ANY), Write(ANY), Rollback(ANY), End(ANY)),
        _phrase(Look(ANY), Sql(ANY, SETS[0]), End(ANY), Look(ANY), End(ANY)),
        _phrase(Look(ANY, alias="kin"), Sql(ANY, SETS[0], alias="kin"), End(ANY), Look(ANY, alias="kin"), End(ANY)),
    )
)
"""What comes before in a situation, what is undone inside a block or by hand, and state
that is looked for in the next unit of work."""


def _after_earlier(earlier: str, then: str, alias: str) -> tuple[Turn, ...]:
    acts = on(alias, *EARLIER[earlier], *BLOCKS[then])
    return _phrase(*map(_anybodys, acts), End(ANY))


def _anybodys(step: Step) -> Act:
    return step if isinstance(step, Elapse) else msgspec.structs.replace(cast("ActorStep", step), actor=ANY)


AFTER_EARLIER = st.builds(
    _after_earlier, st.sampled_from(list(EARLIER)), st.sampled_from(list(BLOCKS)), st.sampled_from(ALIASES)
)
"""A block that ends in one of many ways after what its request did earlier: the combinations of lab/judging/earlier.py,
which faults and other actors may meet here."""


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
        return [default]  # a side that is not told of a connection's end waits for it until the bound
    elif name == "raises":
        options = ("exception", "base")  # what ends the process is left to the directed plans
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
