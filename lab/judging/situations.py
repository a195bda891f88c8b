"""Situations: what a fault may meet, as dimensions, and plans that cover each pair of their values.

Bugs pass by positions that no plan takes, and a person forgets some. So the plans are the rows of a covering array
(covertable): any value of one dimension comes together with any of another one, as far as the two can.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import covertable

from lab.judging.plan_parts import FIN, RST, TERMINATE, block, inject, query, request, several
from lab.promise import Promise
from lab.records.lifecycle import MOMENTS, Lifecycle
from lab.records.plan import (
    Autocommit,
    Begin,
    Close,
    Commit,
    End,
    Enter,
    Exit,
    Fail,
    Fork,
    Heal,
    Inject,
    Leave,
    Plan,
    Read,
    Step,
    Stop,
    Write,
)
from lab.records.variant import Variant

Situation = dict[str, str]
Values = tuple[tuple[str, str], ...]
"""Values of some dimensions, each with the dimension's name before it."""

DIMENSIONS: dict[str, tuple[str, ...]] = {
    "mode": ("autocommit", "atomic", "nested", "manual"),
    "position": ("first", "later"),
    "session": ("new", "waited", "replaced"),
    "before": ("nothing", "error", "rollback", "close", "thread's end", "fork"),
    "lifecycle": ("request", "command", "task", "thread"),
    "fault": ("terminated", "FIN", "RST", "interrupt"),
    "moment": ("before", "during", "COMMIT"),
    "actors": ("one", "two"),
}
"""The mode and the position of the statement that the fault meets; what its session is; what came before; the unit of
work; the fault, and whether it strikes before the statement, during it or at COMMIT; requests in flight."""

FAULTS: dict[str, Inject] = {"terminated": TERMINATE, "FIN": FIN, "RST": RST, "interrupt": inject("interrupt")}
BARE = ("command", "thread")


class Rule(NamedTuple):
    """What cannot be: the dimensions that it reads, what is wrong with a situation, and why."""

    reads: tuple[str, ...]
    forbids: Callable[[Situation], bool]
    why: str


RULES = (
    Rule(("moment", "mode"), lambda s: s["moment"] == "COMMIT" and s["mode"] == "autocommit", "no COMMIT is sent"),
    Rule(
        ("fault", "moment"),
        lambda s: s["fault"] == "interrupt" and s["moment"] == "before",
        "between two statements a handler interrupts nothing of the backend's",
    ),
    Rule(
        ("session", "before"),
        lambda s: s["session"] == "new" and s["before"] not in ("nothing", "thread's end"),
        "what came before has opened a session",
    ),
    Rule(
        ("session", "position", "moment"),
        lambda s: s["session"] == "new" and s["position"] == "first" and s["moment"] == "before",
        "there is no session yet that a fault could strike",
    ),
    Rule(
        ("lifecycle", "mode", "moment"),
        lambda s: s["lifecycle"] in BARE and s["mode"] == "autocommit" and s["moment"] == "before",
        "between two units of work the fault belongs to replaces-stale",
    ),
    Rule(
        ("lifecycle", "fault"),
        lambda s: s["lifecycle"] == "thread" and s["fault"] == "interrupt",
        "signal handlers run in the main thread alone",
    ),
    Rule(
        ("lifecycle", "mode"),
        lambda s: s["lifecycle"] in BARE and s["mode"] == "manual",
        "without an end that is told, autocommit off goes on, and only rollback() by hand ends what was lost",
    ),
    Rule(
        ("fault", "moment", "mode"),
        lambda s: s["fault"] == "interrupt" and s["moment"] == "COMMIT" and s["mode"] == "nested",
        "the lab's gate opens with the RELEASE before",
    ),
    Rule(
        ("lifecycle", "before"),
        lambda s: s["lifecycle"] == "thread" and s["before"] == "fork",
        "an executor's thread forks no process",
    ),
)

COVERED = "a covered situation"
"""What a report calls these plans where the unit of work is a request."""


def possible(situation: Situation) -> bool:
    """Whether no rule forbids it."""
    return not any(rule.forbids(situation) for rule in RULES)


def covering(threads: bool = True, strength: int = 2) -> list[Situation]:
    """Situations in which any `strength` values that can come together do; without `threads` for one thread alone."""
    return [dict(row) for row in _covering(threads, strength)]


@functools.cache
def _covering(threads: bool, strength: int) -> list[Situation]:
    """The same, once: each variant of a check asks for it, and finding it takes a tenth of a second."""
    alone: dict[str, tuple[str, ...]] = {"lifecycle": ("request", "command", "task"), "actors": ("one",)}
    alone["before"] = tuple(each for each in DIMENSIONS["before"] if each != "thread's end")
    factors = {name: list(values if threads else alone.get(name, values)) for name, values in DIMENSIONS.items()}
    constraints = [
        {"operator": "fn", "requires": list(rule.reads), "evaluate": lambda row, rule=rule: not rule.forbids(row)}
        for rule in RULES
    ]
    rows = covertable.make(factors, strength=strength, constraints=constraints)
    return [{name: str(row[name]) for name in DIMENSIONS} for row in rows]


def combinations(situation: Situation, strength: int = 2) -> set[Values]:
    """All sets of `strength` values that it has."""
    return set(itertools.combinations(((name, situation[name]) for name in DIMENSIONS), strength))


def impossible(strength: int = 2) -> set[Values]:
    """The sets of `strength` values that no possible situation has."""
    every = [dict(zip(DIMENSIONS, values, strict=True)) for values in itertools.product(*DIMENSIONS.values())]
    can = set().union(*(combinations(each, strength) for each in every if possible(each)))
    return set().union(*(combinations(each, strength) for each in every)) - can


def words(situation: Situation) -> str:
    """One line of it, the values in the order of the dimensions."""
    return ", ".join(f"{name} {value}" for name, value in situation.items())


def plans(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """A plan for each; those of units that are no requests stand under the moment of their lifecycle."""
    for situation in covering(several(variant, 3)):
        unit = lifecycle(situation)
        moment = MOMENTS.get(unit, COVERED)
        yield promise.plan(
            variant, moment, *steps(situation), title=words(situation), lifecycles={actor(situation): unit}
        )


def steps(situation: Situation) -> tuple[Step, ...]:
    """What leads to the situation, the fault in it, and units of work after the heal."""
    a = actor(situation)
    two = situation["actors"] == "two"
    beside: tuple[Step, ...] = (Begin("t2"), Read("t2")) if two else ()
    after = (*query(a), *block(a))
    inner = (*_session(a, situation["session"]), *_before(a, situation["before"]), *beside, *_struck(a, situation))
    inner += (End("t2"),) if two else ()
    if a == "t0":
        return (*inner, Heal(), *after)
    return (*request("t0", *inner), Heal(), *request("t0", *after))


def lifecycle(situation: Situation) -> Lifecycle:
    """Of the actor that meets the fault."""
    found: dict[str, Lifecycle] = {"request": "request", "command": "command", "task": "task", "thread": "thread"}
    return found[situation["lifecycle"]]


def actor(situation: Situation) -> str:
    """The one that meets the fault."""
    return "t1" if situation["lifecycle"] == "thread" else "t0"


def _session(a: str, session: str) -> tuple[Step, ...]:
    if session == "new":
        return ()
    lost = request(a, Read(a), TERMINATE, Read(a, swallow=True)) if session == "replaced" else ()
    return (*lost, *query(a))


def _before(a: str, before: str) -> tuple[Step, ...]:
    made: dict[str, tuple[Step, ...]] = {
        "nothing": (),
        "error": request(a, Fail(a, swallow=True)),
        "rollback": request(a, Enter(a), Write(a), Leave(a, "rollback")),
        "close": request(a, Read(a), Close(a)),
        "thread's end": (*query("t3"), Stop("t3")),
        "fork": (Fork(a), Exit("c0.t0")),
    }
    return made[before]


def _struck(a: str, situation: Situation) -> tuple[Step, ...]:
    """The unit of work that meets the fault."""
    fault, moment = FAULTS[situation["fault"]], situation["moment"]
    signal = situation["fault"] == "interrupt"
    opening: dict[str, tuple[Step, ...]] = {
        "autocommit": (),
        "atomic": (Enter(a),),
        "nested": (Enter(a), Write(a), Enter(a)),
        "manual": (Autocommit(a),),
    }
    closing: dict[str, tuple[Step, ...]] = {
        "autocommit": (),
        "atomic": (Leave(a),),
        "nested": (Leave(a), Leave(a)),
        "manual": (Commit(a),),
    }
    leave = closing[situation["mode"]]
    earlier = (Read(a),) if situation["position"] == "later" else ()
    meets: tuple[Step, ...]
    if moment == "before":
        meets = (fault, Write(a), *leave)
    elif moment == "during":
        meets = (Write(a, hold="statement"), fault, *leave)
    elif signal:  # the COMMIT is held in the server, and the handler raises in it
        meets = (Write(a, hold="commit"), *leave, fault)
    else:
        meets = (Write(a), *leave[:-1], fault, *leave[-1:])
    return request(a, *opening[situation["mode"]], *earlier, *meets)
