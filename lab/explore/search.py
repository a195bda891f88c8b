"""Random search: Hypothesis draws plans, runs them, and shrinks each broken promise to a plan that a person can read.

A pass runs until one promise is broken and shrinks on it alone: what is raised is that promise's own exception type.
Passes go on, from the same seed and without the promises found so far, until one finds nothing more. Runs are
remembered by their steps, so going again over plans that were seen costs no time, and a plan is judged once.
"""

from __future__ import annotations

import time
import unittest
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import new_class

import msgspec
from hypothesis import HealthCheck, Phase, Verbosity, given, reject, settings
from hypothesis import seed as seeded
from hypothesis.database import ExampleDatabase

from lab.errors import BadInput
from lab.explore.shrink import shrink
from lab.explore.strategies import plans
from lab.judging.judge import judge
from lab.judging.plan_parts import keeps
from lab.promise import BLAME, PROMISES, Promise
from lab.records.codec import encode
from lab.records.lifecycle import MOMENTS
from lab.records.plan import Plan
from lab.records.record import Record
from lab.records.variant import Variant
from lab.records.verdict import Finding, Verdict
from lab.rig.protocol import RigProtocol
from lab.run import run
from lab.subject.handle import Zygote

REPLAYS = 3  # times that a shrunk plan is run again before it is believed
MOST_SHRINKING = 10.0  # seconds for what Hypothesis has shrunk already
SHRINK_SHARE = 0.5  # of the budget, kept for shrinking what the other half finds

SECONDARY = b".secondary"
"""How Hypothesis's key for examples that led to a shrunk one ends."""

OnCase = Callable[[Record, tuple[Finding, ...]], None]
Fit = Callable[[Plan], Plan | None]


def _as_drawn(plan: Plan) -> Plan:
    return plan


@dataclass(frozen=True)
class Found:
    """A broken promise: the shrunk plan (`expect` filled in), one record of it, and what all judges say of that.

    `agreed` of `replays` further runs broke the promise as well; fewer than all is a finding about the lab.
    `first` is the plan as it was drawn.
    """

    promise: str
    plan: Plan
    record: Record
    findings: tuple[Finding, ...]
    first: Plan
    replays: int = 0
    agreed: int = 0

    @property
    def finding(self) -> Finding:
        """What the broken promise's own judge says."""
        return next(each for each in self.findings if each.promise == self.promise)

    def save(self, path: Path) -> str:
        """Write the plan to `path`, a file; the command that replays it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(self.plan))
        return f"lab replay {path}"


@dataclass(frozen=True)
class Searched:
    """What a search did: iterating over it gives what it found, in the order in which it found it.

    `examples` counts the plans that Hypothesis drew, shrinking included, `cases` those that had to be run, and
    `void` those of them that prove nothing, `unsteady` the plans that broke a promise once and did not when run again.
    `spent`: the budget ended it.
    """

    found: tuple[Found, ...]
    examples: int
    cases: int
    void: int
    unsteady: int
    seconds: float
    seed: int
    spent: bool = False

    def __iter__(self) -> Iterator[Found]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)


class BrokenPromise(AssertionError):
    """A run broke a promise. Each promise has a subclass of its own, because Hypothesis tells bugs apart by type."""

    promise = ""

    def __init__(self, finding: Finding, plan: Plan) -> None:
        super().__init__(f"{finding.promise} is broken: {finding.summary}")
        self.finding = finding
        self.plan = plan


_TYPES: dict[str, type[BrokenPromise]] = {}


def broken_type(promise: str) -> type[BrokenPromise]:
    """The exception type of one promise, e.g. `RecoversBroken`; always the same class."""
    if promise not in _TYPES:
        name = "".join(word.capitalize() for word in promise.split("-")) + "Broken"
        _TYPES[promise] = new_class(name, (BrokenPromise,), {}, lambda body: body.update(promise=promise))
    return _TYPES[promise]


def search(
    variant: Variant,
    rig: RigProtocol,
    zygote: Zygote,
    *,
    seed: int,
    max_examples: int,
    budget_seconds: float | None = None,
    database: ExampleDatabase | None = None,
    promises: Iterable[Promise] | None = None,
    exclude: Iterable[str] = (),
    most: int | None = None,
    on_case: OnCase | None = None,
    fit: Fit = _as_drawn,
) -> Searched:
    """Run up to `max_examples` random plans against `variant` and shrink one plan for each promise that they break.

    `promises` are judged (default: all), those named in `exclude` never raised. It ends after `most` were found broken
    (default: when no more are found), or when `budget_seconds` are over, with what has been found by then. `database`
    keeps examples between searches; `on_case` hears of every case that is run. `fit` makes of a drawn
    plan what this variant's requests are, or None where it makes no sense there. The same seed draws the same plans,
    after those of the database.
    """
    hunt = _Hunt(variant, rig, zygote, seed, list(promises) if promises is not None else PROMISES.values(), on_case)
    hunt.fit = fit
    hunt.found_before = set(exclude)
    begun = time.monotonic()
    if budget_seconds is not None:
        hunt.draw_until = begun + budget_seconds * (1 - SHRINK_SHARE)
        hunt.run_until = begun + budget_seconds
    found: list[Found] = []
    while (most is None or len(found) < most) and (one := hunt.go(max_examples, database)) is not None:
        found.append(one)
    return Searched(
        found=tuple(found),
        examples=hunt.examples,
        cases=hunt.cases,
        void=hunt.void,
        unsteady=hunt.unsteady,
        seconds=time.monotonic() - begun,
        seed=seed,
        spent=hunt.spent,
    )


@dataclass(frozen=True)
class _Case:
    """One run, judged."""

    plan: Plan
    record: Record
    findings: tuple[Finding, ...]
    blamed: tuple[str, ...] = ()
    unsteady: tuple[str, ...] = ()

    @property
    def broken(self) -> dict[str, Finding]:
        """The promises that this run shows to be broken, without those that only suffer from one that is to blame.

        A break that the variant's documented limits explain, by the lifecycle of an actor of the plan, is no find.
        """
        moments = {MOMENTS.get(self.plan.lifecycle(actor), "") for actor in self.plan.actors()}
        limits = self.plan.variant.limits
        broken = {
            each.promise: each
            for each in self.findings
            if each.verdict is Verdict.BROKEN and not moments & set(limits.get(each.promise, ()))
        }
        return {
            promise: broken[promise]
            for promise in self.blamed or broken
            if promise in broken and promise not in self.unsteady
        }


@dataclass
class _Hunt:
    """A search in progress: what was run, and the promise that the present pass is after."""

    variant: Variant
    rig: RigProtocol
    zygote: Zygote
    seed: int
    promises: list[Promise]
    on_case: OnCase | None
    fit: Fit = _as_drawn
    found_before: set[str] = field(default_factory=set)
    draw_until: float = float("inf")
    run_until: float = float("inf")
    examples: int = 0
    cases: int = 0
    void: int = 0
    unsteady: int = 0
    spent: bool = False
    last_kept: bool = False
    wanted: str = ""
    best: _Case | None = None
    first: Plan | None = None
    seen: dict[bytes, _Case] = field(default_factory=dict)

    def go(self, max_examples: int, database: ExampleDatabase | None) -> Found | None:
        """One pass; None when it finds no promise broken that was not found before."""
        self._forget_wanted()
        strategy = plans(
            self.variant,
            self.rig.capabilities,
            keeps=keeps(self.variant, self.zygote.traits),
            seed=self.seed,
        )
        profile = settings(
            max_examples=max_examples,
            database=None if database is None else _Shelf(database, self.variant.name, lambda: self.last_kept),
            phases=[Phase.reuse, Phase.generate, Phase.shrink],
            deadline=None,
            derandomize=False,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
            print_blob=False,
        )
        try:
            profile(seeded(self.seed)(given(strategy)(self._example)))()  # in this order: a seed drops the database
        except BrokenPromise as broken:
            self.best = self._case(broken.plan)
        except unittest.SkipTest:
            self.spent = True
        if self.best is None or self.first is None:
            return None
        self.found_before.add(self.wanted)
        return self._confirmed(self._smaller(self.best), self.first)

    def _forget_wanted(self) -> None:
        self.wanted, self.best, self.first = "", None, None

    def _example(self, plan: Plan) -> None:
        """What Hypothesis calls; it raises for the one promise that this pass is after, or that it now settles on."""
        self.examples += 1
        if (fitted := self.fit(plan)) is None:
            reject()
        plan = fitted
        case = self._case(plan)
        broken = case.broken
        self.last_kept = bool(broken or case.record.void)
        if case.record.void:
            reject()
        if not self.wanted:
            self.wanted = next((promise for promise in broken if promise not in self.found_before), "")
            self.first = plan
        if self.wanted in broken:
            if self.best is None or len(plan.steps) <= len(self.best.plan.steps):
                self.best = case
            raise broken_type(self.wanted)(broken[self.wanted], plan)

    def _case(self, plan: Plan) -> _Case:
        """The plan's run, from memory if it has been run before; ends the pass when time is up."""
        key = encode((plan.steps, plan.lifecycles))
        if key not in self.seen:
            if time.monotonic() > (self.run_until if self.wanted else self.draw_until):
                raise unittest.SkipTest("the budget is spent")  # Hypothesis lets it pass through
            self.seen[key] = self._twice(plan)
        return self.seen[key]

    def _twice(self, plan: Plan) -> _Case:
        """A run; one that broke something new is made again, and what only one of the two broke does not count.

        Shrinking would otherwise settle on what the noise of a busy machine broke once.
        """
        case = self._run(plan)
        new = [promise for promise in case.broken if promise not in self.found_before]
        if not new or case.record.void or (self.wanted and self.wanted not in new):
            return case
        again = self._run(plan)
        lost = [promise for promise in new if promise not in again.broken]
        self.unsteady += bool(lost)
        return replace(case, unsteady=tuple(lost))

    def _run(self, plan: Plan) -> _Case:
        record = run(plan, self.rig, self.zygote)
        blamed = [each.promise for each in judge(record, _to_blame()) if each.verdict is Verdict.BROKEN]
        case = _Case(plan, record, judge(record, self.promises), tuple(blamed))
        self.cases += 1
        self.void += bool(record.void)
        if self.on_case is not None:
            self.on_case(record, case.findings)
        return case

    def _smaller(self, case: _Case) -> _Case:
        """The same made smaller by lab/explore/shrink.py, as long as there is time.

        Hypothesis shrinks what it has drawn, and draws whole phrases; and a command is shorter to it than a request,
        because nothing leaves its blocks open. Not where each view is atomic: what the handler adds must stay.
        """
        seconds = min(self.run_until - time.monotonic(), MOST_SHRINKING)
        if self.zygote.traits.atomic_requests or seconds <= 0:
            return case

        def run_plan(plan: Plan) -> tuple[str, ...]:
            one = self._run(plan)
            return () if one.record.void else tuple(one.broken)

        try:
            shrunk = shrink(case.plan, run_plan, promise=self.wanted, times=1, seconds=seconds).plan
        except BadInput:  # it does not break the promise again, which the replays will say
            return case
        return replace(case, plan=msgspec.structs.replace(case.plan, steps=shrunk.steps, lifecycles=shrunk.lifecycles))

    def _confirmed(self, case: _Case, first: Plan) -> Found:
        """What was found, run again a few times."""
        expect = {self.wanted: str(Verdict.BROKEN)}
        plan = msgspec.structs.replace(case.plan, expect=expect, title=f"random: {self.wanted}", promise=self.wanted)
        again: list[_Case] = []
        for _ in range(2 * REPLAYS):  # a void one proves nothing
            if len(again) < REPLAYS:
                again += [each for each in [self._run(plan)] if not each.record.void]
        agreed = [each for each in again if self.wanted in each.broken]
        shown = agreed[0] if agreed else case
        return Found(
            promise=self.wanted,
            plan=plan,
            record=msgspec.structs.replace(shown.record, plan=plan),
            findings=shown.findings,
            first=first,
            replays=len(again),
            agreed=len(agreed),
        )


def _to_blame() -> list[Promise]:
    """The promises whose breach explains others: two threads on one session break all that either of them does."""
    return [promise for promise in PROMISES.values() if promise.id in BLAME]


class _Shelf(ExampleDatabase):
    """One variant's part of a database; what Hypothesis calls a key is the same for all of them.

    An example is not forgotten just because the present pass is after another promise: `worth_keeping` is asked.
    All are given out as secondary ones: Hypothesis takes a primary one to be shrunk already, which it is not after a
    search that ran out of time, and would neither shrink it nor draw anything else.
    """

    def __init__(self, database: ExampleDatabase, variant: str, worth_keeping: Callable[[], bool]) -> None:
        super().__init__()
        self._database = database
        self._prefix = f"{variant}:".encode()
        self._worth_keeping = worth_keeping

    def save(self, key: bytes, value: bytes) -> None:
        self._database.save(self._prefix + key, value)

    def fetch(self, key: bytes) -> Iterable[bytes]:
        if not key.endswith(SECONDARY):
            return ()
        primary = self._prefix + key.removesuffix(SECONDARY)
        return [*self._database.fetch(primary), *self._database.fetch(primary + SECONDARY)]

    def delete(self, key: bytes, value: bytes) -> None:
        if key.endswith(SECONDARY) or not self._worth_keeping():
            self._database.delete(self._prefix + key, value)

    def move(self, src: bytes, dest: bytes, value: bytes) -> None:
        self._database.move(self._prefix + src, self._prefix + dest, value)
