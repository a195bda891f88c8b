"""Which of two plans is simpler: the measure of the reducer, and the order in which random plans are drawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from lab.explore.orders import preemptions_of
from lab.fault import FAULTS
from lab.records.plan import Fail, FaultSpec, Heal, Inject, Look, NemesisStep, Plan, Sql, Step, Write

Steps = tuple[Step, ...]
Size = tuple[int, int, int, int]

FIRST_KINDS = ("sever-fin", "sever-rst", "terminate")
"""The faults that a person understands at once, simplest first."""
KINDS = (*FIRST_KINDS, "cut-fin", "cut-rst")
"""Faults from the simplest on: what strikes at once, then what strikes at a moment; after them all others."""
MOMENTS = (
    "query-sent",
    "query-sent+0",
    "first-row+0",
    "command-complete+0",
    "ready+0",
    "commit-sent+0",
    "commit-sent",
    "commit-acked+0",
    "commit-ready+0",
)
"""Where a cut inside the protocol is put, simplest first: the place itself decides what the promise is at stake for."""

WEIGHTS: dict[type[Any], int] = {Write: 1, Fail: 2, Look: 2, Sql: 2}
"""How much less simple these steps are than a query, which is the simplest that there is to ask."""


def size(plan: Plan) -> Size:
    """What is made smaller: steps, then actors, then preemptions, then what the steps, the init statements and the
    lifecycles say.
    """
    said = sum(map(_weight, plan.steps)) + len(plan.init)
    said += sum(lifecycle != "request" for lifecycle in plan.lifecycles.values())
    return len(plan.steps), len(plan.actors()), preemptions(plan.steps), said


def preemptions(steps: Steps) -> int:
    """How often another actor goes on although the last one has something left."""
    return preemptions_of([step.actor for step in steps if not isinstance(step, NemesisStep)])


def _weight(step: Step) -> int:
    said: int = sum(getattr(step, info.name) != info.default for info in optional_fields(step))
    more = 0 if isinstance(step, NemesisStep) else actor_number(step.actor)
    if isinstance(step, Inject):
        more = _fault_weight(step.fault)
    return said + WEIGHTS.get(type(step), 0) + more


def actor_number(actor: str) -> int:
    """2 of `t2`."""
    return int("".join(filter(str.isdecimal, actor)) or 0)


def optional_fields(step: Step) -> list[msgspec.structs.FieldInfo]:
    """The fields of a step that may be left at their defaults."""
    return [info for info in msgspec.structs.fields(type(step)) if info.default is not msgspec.NODEFAULT]


def _fault_weight(spec: FaultSpec) -> int:
    kind = KINDS.index(spec.kind) if spec.kind in KINDS else len(KINDS)
    moment = moment_weight(str(spec.params["moment"])) if "moment" in spec.params else 0
    return 1000 * kind + 100 * len(spec.params) + moment


def moment_weight(moment: str) -> int:
    """Its place among the usual ones; after them, another one by its length."""
    return MOMENTS.index(moment) if moment in MOMENTS else min(len(MOMENTS) + len(moment), 99)


def costs_the_bound(steps: Iterable[Step]) -> bool:
    """Whether an actor may wait for a fault until its bound: it goes on twice before the heal."""
    waiting: set[str] | None = None
    for step in steps:
        if isinstance(step, Inject):
            waiting = set() if waiting is None and FAULTS.get(step.fault.kind).waits else waiting
        elif isinstance(step, Heal):
            waiting = None
        elif not isinstance(step, NemesisStep) and waiting is not None:
            if step.actor in waiting:
                return True
            waiting.add(step.actor)
    return False
