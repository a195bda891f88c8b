"""Variants under several versions of Django, drivers and Python: one rig, and a check for each corner."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from lab.check.check import Apart, Options, check, no_second
from lab.check.progress import Progress
from lab.check.subjects import Subjects, subjects
from lab.errors import BadInput
from lab.judging.judge import judge
from lab.records.codec import decode_plan
from lab.records.difference import VERSIONS, Difference
from lab.records.plan import Plan
from lab.records.record import Record
from lab.records.result import Result
from lab.records.variant import Driver, Variant
from lab.records.verdict import Finding, Verdict
from lab.rig.machine.environments import Environment
from lab.rig.protocol import RigProtocol
from lab.run import run
from lab.store import CASES, CheckFolder, Store, read_file, unwritable
from lab.subject.handle import Zygote

TIMES = 3
"""Runs of a plan in each corner, before it counts as a difference."""


@dataclass(frozen=True)
class Corner:
    """One Django under one Python with one driver; None: as the variant's row says."""

    environment: Environment
    driver: Driver | None

    @property
    def name(self) -> str:
        """In a few words: "5.2/3.11/psycopg2"."""
        return "/".join(filter(None, [self.environment.django, self.environment.python, self.driver]))


@dataclass
class Corners:
    """The results of each corner by the corner's name, what differs, and which variants cannot run where, and why.

    `unsteady`: what looked like a difference, by plans whose runs disagree in one and the same corner. `folder` holds
    an example of each plan in each corner.
    """

    found: dict[str, list[Result]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    unsteady: list[Difference] = field(default_factory=list)
    folder: Path = field(default_factory=Path)

    def of(self, variant: str) -> dict[str, Result]:
        """The results of one variant by corner."""
        return {
            corner: result
            for corner, results in self.found.items()
            for result in results
            if result.variant.name == variant
        }


def judge_corners(
    variants: Sequence[Variant],
    corners: Sequence[Corner],
    rig: RigProtocol,
    options: Options,
    store: Store,
    progress: Progress,
    apart: Apart = no_second,
) -> Corners:
    """Judge every variant in every corner; one that cannot serve a request there is left out, with its reason."""
    done = Corners(folder=_folder(store))
    for corner in corners:
        progress.say(f"{corner.name}: {corner.environment}")
        inside = _inside(variants, corner)
        usable, refused = _usable(inside, rig)
        done.left_out.update({f"{corner.name} {name}": why for name, why in refused.items()})
        if usable:
            done.found[corner.name] = check(usable, rig, options, store, progress, apart)
    keep = CheckFolder(store.root, done.folder)
    shown = _shown(_suspected(done, variants), variants, corners, rig, progress, keep)
    done.unsteady = [each for each in shown if Verdict.UNKNOWN in each.verdicts.values()]
    stands = [each for each in shown if each not in done.unsteady and len(set(each.verdicts.values())) > 1]
    done.differences = [*_applying(done, variants), *stands]
    return done


def _folder(store: Store) -> Path:
    """Where what comes of it is stored; raises StoreUnwritable at once."""
    folder = store.root / VERSIONS / time.strftime("corners-%Y%m%dT%H%M%S", time.gmtime())
    with unwritable(folder):
        (folder / CASES).mkdir(parents=True, exist_ok=True)
    return folder


def _applying(done: Corners, variants: Sequence[Variant]) -> list[Difference]:
    """Promises that apply in some corners and in others do not."""
    found = []
    for variant in variants:
        here = done.of(variant.name)
        for promise in dict.fromkeys(name for result in here.values() for name in result.promises):
            verdicts = {corner: result.promises[promise].verdict for corner, result in here.items()}
            if len({verdict is Verdict.NA for verdict in verdicts.values()}) > 1:
                found.append(Difference(variant.name, promise, "", verdicts))
    return found


def _suspected(done: Corners, variants: Sequence[Variant]) -> list[Difference]:
    """Moments that are broken in some corners and kept in others, with a plan that has shown it.

    A check in brief runs no plan of a promise that is known to be broken, so two corners may have seen different plans.
    """
    found = []
    for variant in variants:
        here = done.of(variant.name)
        for promise in dict.fromkeys(name for result in here.values() for name in result.promises):
            told = {corner: result.promises[promise] for corner, result in here.items()}
            plans: dict[str, str] = {}
            for each in told.values():
                for path in each.evidence:
                    plans.setdefault(decode_plan(read_file(Path(path)), path).moment, path)
            for moment, path in plans.items():
                verdicts = {corner: each.moments[moment] for corner, each in told.items() if moment in each.moments}
                if {Verdict.BROKEN, Verdict.KEPT} <= set(verdicts.values()):
                    found.append(Difference(variant.name, promise, moment, verdicts, path))
    return found


def _shown(
    suspected: Sequence[Difference],
    variants: Sequence[Variant],
    corners: Sequence[Corner],
    rig: RigProtocol,
    progress: Progress,
    keep: CheckFolder,
) -> list[Difference]:
    """Each suspicion's plan run in every corner a few times, one run of it stored: unknown where those disagree."""
    if not suspected:
        return []
    progress.say(f"{len(suspected)} plans run again in each corner")
    verdicts: list[dict[str, Verdict]] = [{} for _ in suspected]
    examples: list[dict[str, str]] = [{} for _ in suspected]
    for corner in corners:
        here = {each.name: each for each in _inside(variants, corner)}
        with subjects(rig) as started:
            zygotes: dict[str, Zygote | None] = {}
            for number, each in enumerate(suspected):
                if each.variant not in zygotes:
                    zygotes[each.variant] = _started(started, here[each.variant])
                zygote = zygotes[each.variant]
                if zygote is None:
                    continue
                plan = decode_plan(read_file(Path(each.plan)), each.plan)
                plan = msgspec.structs.replace(plan, variant=here[each.variant])
                runs = [_judged(plan, rig, zygote) for _ in range(TIMES)]
                told = [_verdict(findings, each.promise) for _, findings in runs]
                verdicts[number][corner.name] = least = _least(told)
                record, findings = runs[told.index(least) if least in told else 0]
                name = f"{number + 1:02d} {corner.name} {each.variant} {each.promise}"
                examples[number][corner.name] = str(keep.keep(name, record, findings))
    return [
        msgspec.structs.replace(each, verdicts=verdicts[number], examples=examples[number])
        for number, each in enumerate(suspected)
    ]


def _started(started: Subjects, variant: Variant) -> Zygote | None:
    try:
        return started.start([variant])[0]
    except BadInput:
        return None


def _judged(plan: Plan, rig: RigProtocol, zygote: Zygote) -> tuple[Record, tuple[Finding, ...]]:
    record = run(plan, rig, zygote)
    return record, judge(record)


def _verdict(findings: Sequence[Finding], promise: str) -> Verdict:
    return next(finding.verdict for finding in findings if finding.promise == promise)


def _least(verdicts: Sequence[Verdict]) -> Verdict:
    """Unknown unless all runs that tell something say the same."""
    told = {verdict for verdict in verdicts if verdict is not Verdict.UNKNOWN}
    return told.pop() if len(told) == 1 else Verdict.UNKNOWN


def _inside(variants: Sequence[Variant], corner: Corner) -> list[Variant]:
    """The variants as they are in that corner."""
    python = corner.environment.executable
    return [
        msgspec.structs.replace(variant, driver=corner.driver or variant.driver, python=python) for variant in variants
    ]


def _usable(variants: Sequence[Variant], rig: RigProtocol) -> tuple[list[Variant], dict[str, str]]:
    """Those that serve a request without any fault, and why the others do not."""
    found, refused = [], {}
    with subjects(rig) as started:
        for variant in variants:
            try:
                started.start([variant])
            except BadInput as error:
                refused[variant.name] = error.message
            else:
                found.append(variant)
    return found, refused
