"""Changes that are tried on evidence: the variant with them laid on, its zygote, and what plans show there."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from lab.advice.change import laid_on
from lab.check.cases import lane
from lab.check.fit import fitted
from lab.check.lanes import run_in_lanes
from lab.check.subjects import Subjects
from lab.errors import BadInput
from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.plan import Plan
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.rig.protocol import RigProtocol
from lab.run import run
from lab.subject.handle import Zygote

AGAIN = 2
"""How often a plan is run, at most, until a run tells something of its promise."""

Ids = frozenset[str]


@dataclass(frozen=True)
class Evidence:
    """A broken moment: the promise, the moment, the plan that showed it, and where that is stored."""

    promise: str
    moment: str
    plan: Plan
    path: str


@dataclass
class Tried:
    """A set of changes in use. `shown`: the verdict of each evidence, by its place."""

    ids: Ids
    variant: Variant
    zygote: Zygote
    shown: dict[int, list[Verdict]] = field(default_factory=dict)

    def rules_out(self, promise: str) -> bool:
        """Whether the promise does not apply under these settings: there is nothing left that could break it."""
        return bool(PROMISES.get(promise).not_applicable(self.variant, self.zygote.traits))

    def verdict(self, place: int) -> Verdict:
        """The worst that its runs showed; unknown where none was run."""
        found = self.shown.get(place, [])
        return next((each for each in Verdict if each in found), Verdict.UNKNOWN)

    def mends(self, place: int) -> bool:
        """Whether each run kept the promise, or it does not apply any more."""
        return self.verdict(place) in (Verdict.KEPT, Verdict.NA)


class Bench:
    """Where changes are tried on one variant's evidence; call it from the main thread."""

    def __init__(
        self,
        variant: Variant,
        evidence: Sequence[Evidence],
        rig: RigProtocol,
        started: Subjects,
        say: Callable[[str], None],
    ) -> None:
        self.evidence = evidence
        self._rig = rig
        self._started = started
        self._say = say
        self.variant = variant
        (zygote,) = started.start([variant], say)
        self.as_it_is = Tried(frozenset(), variant, zygote)
        self.known: dict[tuple[Ids, bool], Tried | None] = {(frozenset(), True): self.as_it_is}

    def tried(self, ids: Iterable[str], *, proof: bool = True) -> Tried | None:
        """A set of changes in use; None where they cannot be laid on this variant, or it does not load with them."""
        key = (frozenset(ids), proof)
        if key not in self.known:
            variant = laid_on(tuple(key[0]), self.variant, self.as_it_is.zygote.traits, proof=proof)
            self.known[key] = None if variant is None else self._start(key[0], variant)
        return self.known[key]

    def backend(self, engine: str) -> Tried | None:
        """Another ENGINE under the same settings."""
        return self._start(frozenset({engine}), msgspec.structs.replace(self.variant, engine=engine, keeps=None))

    def _start(self, ids: Ids, variant: Variant) -> Tried | None:
        try:
            (later,) = self._started.later([variant])
            zygote = later.zygote()
        except BadInput as error:
            self._say(f"{', '.join(sorted(ids))}: not tried: {error.message}")
            return None
        return Tried(ids, variant, zygote)

    def show(self, jobs: Sequence[tuple[Tried, int]], times: int = 1) -> None:
        """Run each evidence under each set of changes, so many more times, side by side."""
        lock = threading.Lock()

        def work(job: tuple[Tried, int]) -> None:
            tried, place = job
            verdict = self._run(tried, self.evidence[place])
            with lock:
                tried.shown.setdefault(place, []).append(verdict)

        def abort() -> None:
            for tried in self.known.values():
                if tried is not None:
                    tried.zygote.close()

        run_in_lanes(list(jobs) * times, lambda job: lane(self.evidence[job[1]].plan), work, abort)

    def _run(self, tried: Tried, evidence: Evidence) -> Verdict:
        if tried.rules_out(evidence.promise):
            return Verdict.NA
        plan = msgspec.structs.replace(evidence.plan, variant=tried.variant)
        found = fitted(evidence.promise, plan, tried.zygote.traits)
        if found is None:
            return Verdict.UNKNOWN
        verdict = Verdict.UNKNOWN
        for _ in range(AGAIN):
            try:
                record = run(found, self._rig, tried.zygote)
            except BadInput:
                return Verdict.UNKNOWN  # this rig cannot do it
            verdict = next(each.verdict for each in judge(record) if each.promise == evidence.promise)
            if not record.void and verdict is not Verdict.UNKNOWN:
                return verdict
        return verdict if verdict is Verdict.NA else Verdict.UNKNOWN


def agreement(verdicts: Sequence[Verdict]) -> str:
    """How many runs say what most of them say."""
    return f"{max(Counter(verdicts).values())} of {len(verdicts)} runs" if verdicts else ""
