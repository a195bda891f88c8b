"""A check: directed plans of all promises, then a random search, every run judged by every promise."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import msgspec

from lab.check.cases import Case, Gathered, Lane, gather, lane
from lab.check.claims import claiming, is_project, known_limits, suspicion
from lab.check.cuts import CutTrials, cut
from lab.check.lanes import run_in_lanes
from lab.check.part import Further, Part, conclude, keep
from lab.check.progress import Progress, Silent
from lab.check.search import Searched, search
from lab.check.subjects import subjects
from lab.check.tally import counts
from lab.check.trial import NOT_RUN, Entry, Trial, Trials
from lab.edition import edition
from lab.errors import LabError, StoreUnwritable, SubjectLost
from lab.promise import PROMISES, Promise
from lab.records.result import Result, VariantInfo, encode_results
from lab.records.secret import masked
from lab.records.shard import WHOLE, Shard, key_of
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.records.words import count
from lab.rig.capabilities import remedy
from lab.rig.protocol import RigProtocol
from lab.store import Store

SEARCH = 6.0
"""Seconds of random search for each variant where no budget is given."""

CUTS_NEED = 10.0
"""Seconds of a budget that the cuts of one variant may take on a busy machine."""

CUTS_TAKE = 4.0
"""Seconds that they mostly take: for an estimate."""


CUTS, SEARCHED = "cuts", "random search"
"""What the parts of a check are called that are no directed plans: each is in one shard as a whole."""

Apart = Callable[[], RigProtocol | None]
"""What starts a second rig, or returns the one that it has started; None where there can be only one."""


def no_second() -> None:
    """There is no second rig."""


@dataclass(frozen=True)
class Options:
    """How much is checked, and from which seed.

    `promises`: identifiers, all when empty. `budget` in seconds, None without limit: when it is spent the random search
    ends, and a plan that has not begun leaves its moment unknown. `bound` is B in seconds, None as the variant claims,
    else 10. `search` is the random search's share in seconds for each variant; with a budget, all that is left of it.
    `cuts`: one request is cut before each of its messages, unless less than CUTS_NEED of the budget is left for it.
    `brief`: one plan for each moment of each promise, and none once all that asked for it are known to be broken.
    `claims`: presets and promises that the variants claim; () as their rows say, or Django's documentation.
    `shard`: the part of all plans that is run; what the others would show is unknown.
    """

    promises: tuple[str, ...] = ()
    budget: float | None = None
    seed: int = 0
    bound: float | None = None
    search: float = SEARCH
    cuts: bool = True
    brief: bool = False
    claims: tuple[str, ...] = ()
    shard: Shard = WHOLE

    def deciding(self) -> dict[str, Any]:
        """What shards of one whole have in common."""
        return {name: value for name, value in asdict(self).items() if name not in ("shard", "budget")}

    def chosen(self) -> tuple[Promise, ...]:
        """The promises that are asked about; raises UnknownName."""
        if not self.promises:
            return tuple(PROMISES.values())
        return tuple(PROMISES.get(name) for name in dict.fromkeys(self.promises))


@dataclass
class _VariantPart:
    """One variant's part of a check: what is planned for it, and what is known so far."""

    entry: Entry
    gathered: Gathered
    shard: Shard = WHOLE
    directed: list[Trial] = field(default_factory=list)
    cut: CutTrials = field(default_factory=CutTrials)
    searched: Searched = field(default_factory=Searched)
    skipped: list[str] = field(default_factory=list)
    begun: float | None = None
    ended: float = 0.0

    def mine(self, what: str) -> bool:
        """Whether a part of the check that is no list of plans is this shard's."""
        return self.shard.holds(f"{what} {self.entry.variant.name}")

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """The directed plans that are this shard's."""
        return tuple(case for case in self.gathered.cases if self.shard.holds(key_of(case.plan)))

    @cached_property
    def others(self) -> tuple[Trial, ...]:
        """What stands for the plans of the other shards: nothing is known of them."""
        why = f"not run: {self.shard} of all plans does not hold it"
        mine = {case.number for case in self.cases}
        return tuple(Trial(case, missing=why) for case in self.gathered.cases if case.number not in mine)


def check(
    variants: Sequence[Variant],
    rig: RigProtocol,
    options: Options,
    store: Store,
    progress: Progress | None = None,
    apart: Apart = no_second,
) -> list[Result]:
    """Judge every variant on one rig, their plans mixed, and store the evidence; one result each, in their order.

    `apart` is asked for a second rig where there are plans that must run alone; without it they come first, and the
    others wait.
    Raises UnknownName, EngineUnusable, StoreUnwritable, or whatever else makes the lab fail; what was stored before is
    whole.
    """
    promises, progress = options.chosen(), progress or Silent()
    with subjects(rig) as started:
        folders = [store.open(variant.name, options.seed) for variant in variants]
        zygotes = started.start(variants, progress.say)
        variants = [
            claiming(variant, zygote.traits, zygote.engine, options.claims)
            for variant, zygote in zip(variants, zygotes, strict=True)
        ]
        parts = []
        for variant, zygote, folder in zip(variants, zygotes, folders, strict=True):
            gathered = gather(
                variant,
                zygote.traits,
                promises,
                rig.capabilities,
                seed=options.seed,
                bound=options.bound,
                brief=options.brief,
            )
            for lacking, number in gathered.beyond.items():
                progress.say(f"{variant.name}: {number} plans ask for {lacking}: {remedy([lacking])}")
            parts.append(
                _VariantPart(Entry(variant, zygote, folder, promises, brief=options.brief), gathered, options.shard)
            )
        changed = [other for part in parts for other in part.gathered.variants if other not in variants]
        others = started.later(changed)
        for part in parts:
            part.entry = replace(part.entry, others=others)
        return _Check(parts, rig, apart, options, store, progress).results()


class _Check:
    """One check in progress."""

    def __init__(
        self,
        parts: list[_VariantPart],
        rig: RigProtocol,
        apart: Apart,
        options: Options,
        store: Store,
        progress: Progress,
    ) -> None:
        self._parts = parts
        self._rig = rig
        self._options = options
        self._store = store
        self._progress = progress
        self._trials = Trials(rig)
        self._start_apart = apart
        self._apart: Trials | None = None
        self._lock = threading.Lock()
        self._start = time.monotonic()

    def results(self) -> list[Result]:
        """Run everything; the results are stored too."""
        for part in self._parts:
            plans = [case.promises for case in part.gathered.cases]
            self._progress.begins(part.entry.variant, plans, part.gathered.not_applicable)
            for other in part.others:
                unknown = dict.fromkeys(other.case.promises, Verdict.UNKNOWN)
                self._progress.done(part.entry.variant, other.case.title, unknown, {}, "")
        self._say_how_long()
        jobs = self._jobs()
        if any(self._lane(job) == "alone" for job in jobs) and (second := self._start_apart()) is not None:
            self._apart = Trials(second)
        run_in_lanes(jobs, self._lane, self._work, self._abort, apart=self._apart is not None, ready=self._ready)
        for part in self._parts:
            self._cut(part)
        for part in self._parts:
            self._search(part)
        return [self._result(part) for part in self._parts]

    def _say_how_long(self) -> None:
        options = self._options
        if options.budget is not None:
            self._progress.expects(self._left(), whole=True)
        else:
            each = options.search + (CUTS_TAKE if options.cuts else 0.0)
            self._progress.expects(each * len(self._parts), whole=False)

    def _jobs(self) -> list[tuple[_VariantPart, Case]]:
        """The variants take turns, so that a budget that is spent costs all of them the same.

        The promises take turns too: whoever watches sees something of each of them soon, of each first what stock
        Django is known to break, because most of what breaks at all breaks there.
        """
        jobs = []
        for order, part in enumerate(self._parts):
            seen: Counter[str] = Counter()
            traits = part.entry.zygote.traits
            for case in sorted(part.cases, key=lambda each: suspicion(traits, each.made_for)):
                promise = case.made_for[0][0]
                jobs.append((seen[promise], case.number, order, part, case))
                seen[promise] += 1
        jobs.sort(key=lambda job: job[:3])
        return [(part, case) for *_, part, case in jobs]

    @staticmethod
    def _lane(job: tuple[_VariantPart, Case]) -> Lane:
        return lane(job[1].plan)

    @staticmethod
    def _ready(job: tuple[_VariantPart, Case]) -> bool:
        return job[0].entry.ready(job[1])

    def _work(self, job: tuple[_VariantPart, Case]) -> None:
        part, case = job
        begun = time.monotonic()
        if self._options.brief and part.entry.settled(case):
            with self._lock:
                self._progress.done(part.entry.variant, case.title, dict.fromkeys(case.promises, Verdict.NA), {}, "")
            return
        with self._lock:
            self._progress.starts(part.entry.variant, case.title)
        trials = self._apart if self._apart is not None and self._lane(job) == "alone" else self._trials
        trial = Trial(case, missing=NOT_RUN) if self._left() <= 0 else trials.trial(case, part.entry)
        self._enter(part, trial, begun)
        with self._lock:
            part.directed.append(trial)

    def _cut(self, part: _VariantPart) -> None:
        options, entry = self._options, part.entry
        if not options.cuts or entry.zygote.traits.read_only or self._left() < CUTS_NEED or not part.mine(CUTS):
            return
        self._progress.say(f"{entry.variant.name}: one request, cut before each of its messages")
        begun = time.monotonic()
        bound = options.bound or entry.variant.bound or 10.0
        number = len(part.gathered.cases) + 1
        with self._part(CUTS, part):
            part.cut = cut(entry, self._rig, self._store, bound=bound, number=number)
        part.ended = time.monotonic()
        for trial in part.cut.trials:
            self._progress.further(entry.variant)
            self._enter(part, trial, begun)

    def _search(self, part: _VariantPart) -> None:
        options, entry = self._options, part.entry
        waiting = len(self._parts) - self._parts.index(part)
        seconds = options.search if options.budget is None else self._left() / waiting
        if seconds <= 0 or entry.zygote.traits.read_only or not part.mine(SEARCHED):
            return
        self._progress.say(f"{entry.variant.name}: random search from seed {options.seed}, {seconds:.0f} s")
        begun = time.monotonic()
        with self._part(SEARCHED, part):
            part.searched = search(
                entry,
                self._rig,
                seed=options.seed,
                seconds=seconds,
                known={promise for trial in (*part.directed, *part.cut.trials) for promise in trial.broken},
                number=len(part.gathered.cases) + len(part.cut.trials) + 1,
            )
        part.ended = time.monotonic()
        for trial in part.searched.trials:
            self._progress.further(entry.variant)
            self._enter(part, trial, begun)

    @contextmanager
    def _part(self, name: str, part: _VariantPart) -> Iterator[None]:
        """A part of the check without which all others are judged: what ends it is said, and told in the result."""
        try:
            yield
        except (StoreUnwritable, SubjectLost):
            raise
        except LabError as error:
            part.skipped.append(f"{name}: {error}")
            self._progress.say(f"{part.entry.variant.name}: no {name}: {error}")

    def _enter(self, part: _VariantPart, trial: Trial, begun: float) -> None:
        variant = part.entry.variant
        known = known_limits(variant, part.entry.zygote.traits, part.entry.zygote.engine)
        chosen = bool(self._options.claims)
        broken = {
            promise.id: counts(variant, promise, trial, known=known, chosen=chosen)
            for promise in part.entry.promises
            if promise.id in trial.broken
        }
        note = trial.missing or (f"void {trial.void} of {trial.runs}" if trial.void else "")
        verdicts = {promise: trial.finding(promise).verdict for promise in trial.case.promises}
        with self._lock:
            part.begun = begun if part.begun is None else min(part.begun, begun)
            part.ended = time.monotonic()
            self._progress.done(variant, trial.case.title, verdicts, broken, note)

    def _left(self) -> float:
        """Seconds of the budget that are left."""
        if self._options.budget is None:
            return float("inf")
        return self._options.budget - (time.monotonic() - self._start)

    def _abort(self) -> None:
        """End the subjects: every run in progress then ends at its next step."""
        for part in self._parts:
            part.entry.zygote.close()
            for other in part.entry.others:
                other.abort()

    def _result(self, part: _VariantPart) -> Result:
        entry, options = part.entry, self._options
        mine = len(part.cases)
        found = Part(
            edition=edition(),
            shard=part.shard,
            settings=options.deciding(),
            variant=entry.variant,
            info=_describe(entry),
            traits=entry.zygote.traits,
            engine=entry.zygote.engine,
            versions={**self._rig.versions(), **entry.zygote.traits.versions},
            promises=tuple(promise.id for promise in entry.promises),
            not_applicable=part.gathered.not_applicable,
            plans=tuple(key_of(case.plan) for case in part.gathered.cases),
            trials=tuple(sorted(part.directed, key=lambda trial: trial.case.number)),
            cuts=_further(part.cut) if part.mine(CUTS) else None,
            search=_further(part.searched) if part.mine(SEARCHED) else None,
            seed=options.seed,
            chosen=bool(options.claims),
            seconds=round(part.ended - (part.begun or part.ended), 3),
            skipped=tuple(part.skipped),
        )
        if not part.shard.whole:
            keep(found, entry.folder)
            partial = f"the plans of other shards: this is {part.shard}, {mine} of {len(part.gathered.cases)} plans"
            found = msgspec.structs.replace(found, skipped=(partial, *part.skipped))
        result = conclude(found, part.others)
        entry.folder.finish(encode_results([result]))
        return result


def _further(found: CutTrials | Searched) -> Further:
    return Further(trials=tuple(found.trials), runs=found.runs, void=found.void, at_stake=dict(found.at_stake))


def _stated(variant: Variant) -> list[str]:
    """What decides verdicts because somebody has said so, and was not seen."""
    if not variant.maximum:
        return []
    return [f"stated: no process has more than {count(variant.maximum, 'session')} of an alias"]


def _describe(entry: Entry) -> VariantInfo:
    """The variant as it ran; what its settings module says is known from inside the subject only."""
    variant, traits = entry.variant, entry.zygote.traits
    inherited = dict(traits.settings) if variant.module else {}
    options = inherited.pop("OPTIONS", {})
    return VariantInfo(
        name=variant.name,
        engine=entry.zygote.engine,
        driver=variant.driver,
        settings=masked({**inherited, **variant.settings}, entry.zygote.secrets),
        notes=(*traits.notes, *_stated(variant)),
        project=is_project(variant, entry.zygote.engine),
        options=masked({**(options if isinstance(options, dict) else {}), **variant.options}, entry.zygote.secrets),
        keeping=traits.keeping,
    )
