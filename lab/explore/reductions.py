"""How a plan is made smaller: passes, each of which proposes plans in place of one, the boldest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from lab.explore.simplicity import KINDS, MOMENTS, Steps, actor_number, moment_weight, optional_fields
from lab.records.moment import Moment
from lab.records.plan import (
    Begin,
    End,
    Enter,
    Fail,
    FaultSpec,
    Fork,
    Heal,
    Inject,
    Leave,
    Look,
    NemesisStep,
    Plan,
    Read,
    Sql,
    Step,
    Stop,
    Write,
)

Reductions = Callable[[Plan], Iterator[Plan]]
"""Candidates to be tried in place of a plan, the boldest first."""


def drop_actors(plan: Plan) -> Iterator[Plan]:
    """Without one actor, and those of the processes that it forks."""
    for actor in plan.actors():
        forked = {step.child for step in plan.steps if isinstance(step, Fork) and step.actor == actor}
        gone = {each for each in plan.actors() if each == actor or each.rpartition(".")[0] in forked}
        yield _with(plan, (step for step in plan.steps if isinstance(step, NemesisStep) or step.actor not in gone))


def drop_requests(plan: Plan) -> Iterator[Plan]:
    """Without one request of one actor."""
    for first, step in enumerate(plan.steps):
        if isinstance(step, Begin):
            gone = set(_request(plan.steps, first, step.actor))
            yield _without(plan, gone)


def drop_faults(plan: Plan) -> Iterator[Plan]:
    """Without one fault, and with what waits for it and ends it when it is the only one."""
    injects = [place for place, step in enumerate(plan.steps) if isinstance(step, Inject)]
    for place in injects:
        if len(injects) == 1:
            yield _with(plan, (step for step in plan.steps if not isinstance(step, NemesisStep)))
        following = _next(plan.steps, place, Heal)
        if following is not None:
            yield _without(plan, {place, following})
        yield _without(plan, {place})


def drop_steps(plan: Plan) -> Iterator[Plan]:
    """Without half of the steps, a quarter, and so on, the last ones first; then without two that belong together."""
    number = len(plan.steps)
    length = number // 2
    while length >= 1:
        for end in range(number, 0, -length):
            yield _without(plan, set(range(max(end - length, 0), end)))
        length //= 2
    for place in range(number):
        if (other := _partner(plan.steps, place)) is not None:
            yield _without(plan, {place, other})


def drop_init(plan: Plan) -> Iterator[Plan]:
    """Without one statement that is executed on each new session."""
    for place in range(len(plan.init)):
        yield msgspec.structs.replace(plan, init=plan.init[:place] + plan.init[place + 1 :])


def merge_actors(plan: Plan) -> Iterator[Plan]:
    """One actor's steps made by another one."""
    actors = plan.actors()
    for number, actor in enumerate(actors):
        for earlier in actors[:number]:
            yield _with(plan, (_renamed(step, actor, earlier) for step in plan.steps))


def rename_actors(plan: Plan) -> Iterator[Plan]:
    """An actor called by an earlier name that no actor has: those that are left are t0, t1 and so on."""
    actors = plan.actors()
    for actor in actors:
        for name in (f"t{number}" for number in range(actor_number(actor))):
            if name not in actors and "." not in actor:
                yield _with(plan, (_renamed(step, actor, name) for step in plan.steps))


def straighten(plan: Plan) -> Iterator[Plan]:
    """An actor that is preempted goes on first, for as long as it did later."""
    steps = plan.steps
    for place, step in enumerate(steps[:-1]):
        if isinstance(step, NemesisStep):
            continue
        back = _next_of(steps, place + 1, step.actor)
        if back is None or back == place + 1:
            continue
        end = back
        while end < len(steps) and _is_of(steps[end], step.actor):
            end += 1
        for until in dict.fromkeys((end, back + 1)):
            yield _with(plan, (*steps[: place + 1], *steps[back:until], *steps[place + 1 : back], *steps[until:]))


def as_requests(plan: Plan) -> Iterator[Plan]:
    """Requests in place of one actor's other units of work."""
    for actor, lifecycle in plan.lifecycles.items():
        if lifecycle != "request":
            yield msgspec.structs.replace(plan, lifecycles={**plan.lifecycles, actor: "request"})


def simplify_steps(plan: Plan) -> Iterator[Plan]:
    """A query in place of another statement; and everything that a step says left at its default, one at a time."""
    for place, step in enumerate(plan.steps):
        if isinstance(step, Write | Fail | Look | Sql):
            yield _replaced(plan, place, Read(step.actor, swallow=step.swallow, alias=step.alias))
        for info in optional_fields(step):
            if getattr(step, info.name) != info.default:
                yield _replaced(plan, place, msgspec.structs.replace(step, **{info.name: info.default}))


def simplify_faults(plan: Plan) -> Iterator[Plan]:
    """A simpler fault, without parameters, with one less, or at a simpler moment."""
    for place, step in enumerate(plan.steps):
        if isinstance(step, Inject):
            for spec in _simpler(step.fault):
                yield _replaced(plan, place, msgspec.structs.replace(step, fault=spec))


def _simpler(spec: FaultSpec) -> Iterator[FaultSpec]:
    for kind in KINDS[: KINDS.index(spec.kind) if spec.kind in KINDS else None]:
        yield FaultSpec(kind)
        if "moment" in spec.params:
            yield FaultSpec(kind, {"moment": spec.params["moment"]})
    if spec.params:
        yield FaultSpec(spec.kind)
    for name in spec.params:
        yield FaultSpec(spec.kind, {key: value for key, value in spec.params.items() if key != name})
    if "moment" in spec.params:
        moment = str(spec.params["moment"])
        for simpler in dict.fromkeys((*MOMENTS, *map(str, Moment.parse(moment).simpler()))):
            if moment_weight(simpler) < moment_weight(moment):
                yield FaultSpec(spec.kind, {**spec.params, "moment": simpler})


PASSES: tuple[Reductions, ...] = (
    drop_actors,
    drop_requests,
    drop_faults,
    drop_steps,
    drop_init,
    merge_actors,
    rename_actors,
    straighten,
    as_requests,
    simplify_steps,
    simplify_faults,
)


# -- what they are made of --------------------------------------------------------------------------------------------


def _with(plan: Plan, steps: Iterable[Step]) -> Plan:
    return msgspec.structs.replace(plan, steps=tuple(steps))


def _without(plan: Plan, places: set[int]) -> Plan:
    return _with(plan, (step for place, step in enumerate(plan.steps) if place not in places))


def _replaced(plan: Plan, place: int, step: Step) -> Plan:
    return _with(plan, (*plan.steps[:place], step, *plan.steps[place + 1 :]))


def _is_of(step: Step, actor: str) -> bool:
    return not isinstance(step, NemesisStep) and step.actor == actor


def _next_of(steps: Steps, place: int, actor: str) -> int | None:
    return next((later for later in range(place, len(steps)) if _is_of(steps[later], actor)), None)


def _next(steps: Steps, place: int, kind: type[Any]) -> int | None:
    return next((later for later in range(place + 1, len(steps)) if isinstance(steps[later], kind)), None)


def _request(steps: Steps, first: int, actor: str) -> Iterator[int]:
    """The places of a request that begins at `first`."""
    for place in range(first, len(steps)):
        step = steps[place]
        if not _is_of(step, actor) or (isinstance(step, Stop | Begin) and place != first):
            continue
        yield place
        if isinstance(step, End):
            return


def _partner(steps: Steps, place: int) -> int | None:
    """The step that ends what this one begins: a block, a request, a fault."""
    step = steps[place]
    if isinstance(step, Inject):
        return _next(steps, place, Heal)
    opens, closes = next(
        ((one, other) for one, other in ((Enter, Leave), (Begin, End)) if isinstance(step, one)), (None, None)
    )
    if opens is None or closes is None or isinstance(step, NemesisStep):
        return None
    depth = 0
    for later in range(place, len(steps)):
        if _is_of(steps[later], step.actor):
            depth += isinstance(steps[later], opens) - isinstance(steps[later], closes)
            if depth == 0:
                return later
    return None


def _renamed(step: Step, actor: str, other: str) -> Step:
    return msgspec.structs.replace(step, actor=other) if _is_of(step, actor) else step
