"""The reducer: any plan that breaks a promise, made as small as it can be while it still breaks that promise.

It knows nothing but plans, so it makes no difference where a plan comes from. A candidate counts when `agree` of its
`times` runs break the promise; a void run breaks nothing. Each accepted candidate is smaller by one measure (steps,
actors, preemptions, then how much each step says), so the reduction ends: at a plan from which nothing can be taken,
or when its seconds are spent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from lab.errors import BadInput
from lab.explore.progress import Progress, silent
from lab.explore.reductions import PASSES, Reductions
from lab.explore.simplicity import costs_the_bound, size
from lab.fault import build
from lab.judging.judge import cause, judge
from lab.records.codec import encode
from lab.records.plan import Plan
from lab.records.verdict import Verdict
from lab.rig.protocol import RigProtocol
from lab.run import run
from lab.subject.handle import Zygote

TIMES = 2
"""Runs of a candidate."""
SECONDS = 60.0
"""What a reduction may take by default."""

RunPlan = Callable[[Plan], tuple[str, ...]]
"""Runs a plan once: the promises that it breaks, the one to blame first; none when the run is void."""


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
    progress: Progress = silent,
) -> Shrunk:
    """The smallest plan found within `seconds` of which `agree` of `times` runs (default: all) break the promise.

    `promise`: the one that the plan is about when empty, else the first that it is expected to break, else the one to
    blame for what it breaks. `progress` is told, after each step forward, how many steps the plan has now and how many
    runs that took so far. Raises BadInput when the plan does not break it to begin with.
    """
    needed = times if agree is None else agree
    if not 1 <= needed <= times:
        raise BadInput(f"{needed} of {times} runs cannot agree", "give a number of runs, and at most as many to agree")
    begun = clock()
    pinned = _pinned(plan)
    test = _Test(pinned, run_plan, promise or _about(plan), times, needed, clock, begun + seconds)
    agreed = test.first(pinned)
    spent = False
    try:
        _to_fixed_point(test, progress)
    except _Spent:
        spent = True
    return Shrunk(
        plan=_labelled(_unpinned(test.best), test.promise),
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


def _pinned(plan: Plan) -> Plan:
    """With every lifecycle said: a request that loses its begin must not become a command, which breaks more."""
    return msgspec.structs.replace(plan, lifecycles={actor: plan.lifecycle(actor) for actor in plan.actors()})


def _unpinned(plan: Plan) -> Plan:
    """Without the lifecycles that the steps show by themselves."""
    bare = msgspec.structs.replace(plan, lifecycles={})
    said = {actor: plan.lifecycle(actor) for actor in plan.actors()}
    return msgspec.structs.replace(
        plan, lifecycles={actor: said[actor] for actor in said if said[actor] != bare.lifecycle(actor)}
    )


def _labelled(plan: Plan, promise: str) -> Plan:
    title = plan.title if plan.title.startswith("shrunk: ") else f"shrunk: {plan.title or promise}"
    return msgspec.structs.replace(plan, title=title, promise=promise, expect={promise: str(Verdict.BROKEN)})


def _to_fixed_point(test: _Test, progress: Progress) -> None:
    """All passes again and again, until none finds anything smaller."""
    before = None
    while test.best is not before:
        before = test.best
        for reductions in PASSES:
            _sweep(test, reductions, progress)


def _sweep(test: _Test, reductions: Reductions, progress: Progress) -> None:
    """One pass: what is accepted is taken at once, and the rest of the pass goes on from there."""
    place: int | None = 0
    while place is not None:
        place = _accept(test, islice(reductions(test.best), place, None), place)
        if place is not None:
            progress(len(test.best.steps), test.runs)


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
    return encode((plan.steps, plan.init, plan.lifecycles))
