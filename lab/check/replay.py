"""A replay: one plan run again, as often as asked, and whether all its runs come to the same."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from lab.check.cases import lane
from lab.check.claims import claimed
from lab.check.lanes import run_in_lanes
from lab.check.probe import probe
from lab.judging.judge import judge
from lab.records.plan import Plan
from lab.records.record import Record
from lab.records.verdict import Finding, Verdict, worst
from lab.rig.protocol import RigProtocol
from lab.run import run
from lab.subject.handle import Zygote

OnRun = Callable[[Record, tuple[Finding, ...]], None]


@dataclass(frozen=True)
class Replays:
    """What several runs of one plan showed: the findings of each that counted, and how many were void."""

    plan: Plan
    runs: tuple[tuple[Finding, ...], ...]
    void: int

    @property
    def times(self) -> int:
        """How often the plan was run."""
        return len(self.runs) + self.void

    @property
    def agreeing(self) -> int:
        """The size of the largest group of runs in which every promise has the same verdict."""
        return max(Counter(map(_verdicts, self.runs)).values(), default=0)

    @property
    def expected(self) -> int:
        """How many runs show what the plan expects; all that counted, when it expects nothing."""
        return sum(self.plan.expect.items() <= dict(_verdicts(findings)).items() for findings in self.runs)

    def verdicts(self) -> dict[str, Verdict]:
        """The worst verdict of every promise that some run put at stake, or that the plan is about."""
        found: dict[str, list[Verdict]] = {}
        for findings in self.runs:
            for finding in findings:
                found.setdefault(finding.promise, []).append(finding.verdict)
        about = {self.plan.promise, *self.plan.expect}
        seen = {promise: _least(verdicts) for promise, verdicts in found.items()}
        return {
            promise: verdict
            for promise, verdict in seen.items()
            if verdict in (Verdict.BROKEN, Verdict.KEPT) or promise in about
        }

    def summary(self, promise: str) -> str:
        """What the judge says in the first run that shows the promise's verdict."""
        verdict = self.verdicts()[promise]
        found = (each for findings in self.runs for each in findings if each.promise == promise)
        return next((each.summary for each in found if each.verdict is verdict), "")

    def count(self, promise: str) -> int:
        """How many runs show that verdict."""
        verdict = self.verdicts()[promise]
        return sum((promise, str(verdict)) in _verdicts(findings) for findings in self.runs)

    @property
    def verdict(self) -> Verdict:
        """The worst over the promises that the variant claims; unknown when no run counted.

        A plan is for one promise: that it puts others at stake for one variant only says nothing against this one.
        """
        if not self.runs:
            return Verdict.UNKNOWN
        about = {self.plan.promise} if self.plan.promise else set(self.plan.expect)
        counted = [
            verdict
            for promise, verdict in self.verdicts().items()
            if claimed(self.plan.variant, promise, self.plan.moment)
            and (verdict is not Verdict.UNKNOWN or promise in about)
        ]
        return worst([Verdict.NA, *counted])

    @property
    def status(self) -> int:
        """The exit status: 0 all claimed promises kept, 1 a claimed one broken, 2 a claimed one unknown."""
        return {Verdict.BROKEN: 1, Verdict.UNKNOWN: 2}.get(self.verdict, 0)


def replay(plan: Plan, rig: RigProtocol, zygote: Zygote, times: int = 1, on_run: OnRun | None = None) -> Replays:
    """Run `plan` `times` times and judge every run; call it from the main thread.

    `on_run` is called with each run when it has been judged.
    """
    zygote.traits = probe(plan.variant, rig, zygote)
    lock = threading.Lock()
    runs: list[tuple[Finding, ...]] = []
    void = 0

    def work(_: int) -> None:
        nonlocal void
        record = run(plan, rig, zygote)
        findings = judge(record)
        with lock:
            if record.void:
                void += 1
            else:
                runs.append(findings)
            if on_run is not None:
                on_run(record, findings)

    run_in_lanes(range(times), lambda _: lane(plan), work, zygote.close)
    return Replays(plan, tuple(runs), void)


def against(plan: Plan, variant: msgspec.Struct) -> Plan:
    """The same plan for another variant."""
    return msgspec.structs.replace(plan, variant=variant)


def _verdicts(findings: tuple[Finding, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((finding.promise, str(finding.verdict)) for finding in findings))


def _least(verdicts: list[Verdict]) -> Verdict:
    """The worst verdict of those runs that put the promise at stake; unknown where none did."""
    return worst([each for each in verdicts if each is not Verdict.UNKNOWN] or verdicts)
