"""The reducer: any plan that breaks a promise, made as small as it can be while it still breaks that promise.

It knows plans alone, whoever made them. A candidate counts when `agree` of its `times` runs break the promise; a void
run breaks nothing. Whatever is accepted is smaller by one measure (steps, actors, preemptions, then how much each step
says), so that it comes to an end: at a plan from which nothing can be taken, or when its seconds are spent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from lab.errors import BadInput
from lab.explore.interleavings import preemptions_of
from lab.fault import FAULTS, build
from lab.judging.judge import cause, judge
from lab.records.codec import encode
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
from lab.records.verdict import Verdict
from lab.rig.protocol import RigProtocol
from lab.run import run
from lab.subject.handle import Zygote

TIMES = 2
"""Runs of a candidate."""
SECONDS = 60.0
"""What a reduction may take where nothing else is said."""

FIRST_KINDS = ("sever-fin", "sever-rst", "terminate")
"""The faults to be told a story with, simplest first."""
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

Steps = tuple[Step, ...]
Size = tuple[int, int, int, int]
Reductions = Callable[[Plan], Iterator[Plan]]
"""Candidates to be tried in place of a plan, the boldest first."""
RunPlan = Callable[[Plan], tuple[str, ...]]
"""Runs a plan once: the promises that it breaks, the one to blame first; none when the run is void."""
Tell = Callable[[int, int], None]
"""Told after every step forward how many steps the plan has now, and how many runs that took so far."""


@dataclass(frozen=True)
class Shrunk:
    """What became of a plan. `agreed` of `of` runs of the result broke the promise; `spent`: time ended it."""

    plan: Plan
    before: Plan
    promise: str
    agreed: int
    of: int
    runs: int
    seconds: float
    spent: bool


def runner(rig: RigProtocol, zygote: Zygote) -> RunPlan:
    """Runs plans as `lab replay` does."""

    def run_plan(plan: Plan) -> tuple[str, ...]:
        record = run(plan, rig, zygote)
        findings = judge(record)
        if record.void:
            return ()
        first = cause(findings)
        rest = [each.promise for each in findings if each.verdict is Verdict.BROKEN and each.promise != first]
        return (first, *rest) if first else ()

    return run_plan


def shrink(
    plan: Plan,
    run_plan: RunPlan,
    *,
    promise: str = "",
    times: int = TIMES,
    agree: int | None = None,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
    tell: Tell = lambda steps, runs: None,
) -> Shrunk:
    """The smallest plan found within `seconds` of which `agree` of `times` runs (default: all) break the promise.

    `promise`: the one that the plan is about when empty, else the first that it is expected to break, else the one to
    blame for what it breaks. Raises BadInput when the plan does not break it to begin with.
    """
    needed = times if agree is None else agree
    if not 1 <= needed <= times:
        raise BadInput(f"{needed} of {times} runs cannot agree", "give a number of runs, and at most as many to agree")
    begun = clock()
    test = _Test(plan, run_plan, promise or _about(plan), times, needed, clock, begun + seconds)
    agreed = test.first(plan)
    spent = False
    try:
        _to_fixed_point(test, tell)
    except _Spent:
        spent = True
    return Shrunk(
        plan=_labelled(test.best, test.promise),
        before=plan,
        promise=test.promise,
        agreed=test.agreed.get(_key(test.best), agreed),
        of=times,
        runs=test.runs,
        seconds=clock() - begun,
        spent=spent,
    )


def _about(plan: Plan) -> str:
    """The promise that a plan is about, as far as it says so."""
    expected = [promise for promise, verdict in plan.expect.items() if verdict == Verdict.BROKEN]
    if plan.promise and (not expected or plan.promise in expected):
        return plan.promise
    return expected[0] if expected else ""


def _labelled(plan: Plan, promise: str) -> Plan:
    title = plan.title if plan.title.startswith("shrunk: ") else f"shrunk: {plan.title or promise}"
    return msgspec.structs.replace(plan, title=title, promise=promise, expect={promise: str(Verdict.BROKEN)})


def _to_fixed_point(test: _Test, tell: Tell) -> None:
    """All passes again and again, until none finds anything smaller."""
    before = None
    while test.best is not before:
        before = test.best
        for reductions in PASSES:
            _sweep(test, reductions, tell)


def _sweep(test: _Test, reductions: Reductions, tell: Tell) -> None:
    """One pass: what is accepted is taken at once, and the rest of the pass goes on from there."""
    place: int | None = 0
    while place is not None:
        place = _accept(test, islice(reductions(test.best), place, None), place)
        if place is not None:
            tell(len(test.best.steps), test.runs)


def _accept(test: _Test, candidates: Iterator[Plan], place: int) -> int | None:
    """Take the first candidate that is smaller and breaks the promise; its place, None when there is none."""
    now, slow = size(test.best), costs_the_bound(test.best.steps)
    for number, candidate in enumerate(candidates, place):
        if size(candidate) < now and _sound(candidate, slow) and test.passes(candidate):
            test.best = candidate
            return number
    return None


def _sound(plan: Plan, slow: bool) -> bool:
    """Whether it can be run, in a time that is no longer than before."""
    if not plan.actors() or (costs_the_bound(plan.steps) and not slow):
        return False
    try:
        for spec in plan.faults():
            build(spec)
    except BadInput:
        return False
    return True


# -- the test ---------------------------------------------------------------------------------------------------------


class _Spent(Exception):
    """Time is up."""


@dataclass
class _Test:
    """Whether a plan breaks the promise in enough of its runs; a plan that was tried is not tried again.

    `best` is the smallest of which that is known.
    """

    best: Plan
    run_plan: RunPlan
    promise: str
    times: int
    needed: int
    clock: Callable[[], float]
    until: float
    runs: int = 0
    known: dict[bytes, bool] = field(default_factory=dict)
    agreed: dict[bytes, int] = field(default_factory=dict)

    def first(self, plan: Plan) -> int:
        """How many runs of the plan itself break the promise; raises BadInput when they are too few."""
        seen = [self._run(plan) for _ in range(self.times)]
        if not self.promise:
            self.promise = next((broken[0] for broken in seen if broken), "")
        agreed = sum(self.promise in broken for broken in seen)
        if agreed < self.needed:
            what = self.promise or "any promise"
            raise BadInput(
                f"the plan breaks {what} in {agreed} of {self.times} runs: there is nothing to shrink",
                "see what it breaks with `lab replay --times 5`, or ask for fewer runs with --times or --agree",
            )
        return agreed

    def passes(self, plan: Plan) -> bool:
        """Run it as often as is needed to tell; raises _Spent when there is no time for it."""
        key = _key(plan)
        if key not in self.known:
            self.known[key] = self._passes(plan, key)
        return self.known[key]

    def _passes(self, plan: Plan, key: bytes) -> bool:
        agreed = 0
        for left in range(self.times, 0, -1):
            if agreed + left < self.needed:
                return False
            if self.clock() > self.until:
                raise _Spent
            agreed += self.promise in self._run(plan)
        self.agreed[key] = agreed
        return agreed >= self.needed

    def _run(self, plan: Plan) -> tuple[str, ...]:
        self.runs += 1
        return self.run_plan(plan)


def _key(plan: Plan) -> bytes:
    return encode((plan.steps, plan.init))


# -- the measure ------------------------------------------------------------------------------------------------------


def size(plan: Plan) -> Size:
    """What is made smaller: steps, then actors, then preemptions, then what the steps and the init statements say."""
    return len(plan.steps), len(plan.actors()), preemptions(plan.steps), sum(map(_weight, plan.steps)) + len(plan.init)


def preemptions(steps: Steps) -> int:
    """How often another actor goes on although the last one has something left."""
    return preemptions_of([step.actor for step in steps if not isinstance(step, NemesisStep)])


WEIGHTS: dict[type[Any], int] = {Write: 1, Fail: 2, Look: 2, Sql: 2}
"""A query is the simplest that there is to ask."""


KINDS = (*FIRST_KINDS, "cut-fin", "cut-rst")
"""Faults from the simplest on: what strikes at once, then what strikes at a moment; after them all others."""


def _weight(step: Step) -> int:
    said: int = sum(getattr(step, info.name) != info.default for info in _choices(step))
    more = 0 if isinstance(step, NemesisStep) else _number(step.actor)
    if isinstance(step, Inject):
        more = _fault_weight(step.fault)
    return said + WEIGHTS.get(type(step), 0) + more


def _number(actor: str) -> int:
    """2 of `t2`."""
    return int("".join(filter(str.isdecimal, actor)) or 0)


def _choices(step: Step) -> list[msgspec.structs.FieldInfo]:
    """The fields of a step that may be left at their defaults."""
    return [info for info in msgspec.structs.fields(type(step)) if info.default is not msgspec.NODEFAULT]


def _fault_weight(spec: FaultSpec) -> int:
    kind = KINDS.index(spec.kind) if spec.kind in KINDS else len(KINDS)
    moment = _moment_weight(str(spec.params["moment"])) if "moment" in spec.params else 0
    return 1000 * kind + 100 * len(spec.params) + moment


def _moment_weight(moment: str) -> int:
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


# -- the passes -------------------------------------------------------------------------------------------------------


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
    """An actor called by an earlier name that nobody has: those that are left are t0, t1 and so on."""
    actors = plan.actors()
    for actor in actors:
        for name in (f"t{number}" for number in range(_number(actor))):
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


def simplify_steps(plan: Plan) -> Iterator[Plan]:
    """A query in place of another statement; and everything that a step says left at its default, one at a time."""
    for place, step in enumerate(plan.steps):
        if isinstance(step, Write | Fail | Look | Sql):
            yield _replaced(plan, place, Read(step.actor, swallow=step.swallow, alias=step.alias))
        for info in _choices(step):
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
            if _moment_weight(simpler) < _moment_weight(moment):
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
