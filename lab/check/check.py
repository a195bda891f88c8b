"""A check: directed plans of all promises, then a random search, every run judged by every promise."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from lab.check.cases import Case, Gathered, Lane, gather, lane
from lab.check.claims import claiming, is_project, known_limits
from lab.check.cuts import CutTrials, cut
from lab.check.lanes import run_in_lanes
from lab.check.progress import Progress, Silent
from lab.check.search import Searched, search
from lab.check.subjects import subjects
from lab.check.tally import tally
from lab.check.trial import NOT_RUN, Entry, Trial, Trials
from lab.errors import LabError, StoreUnwritable, SubjectLost
from lab.promise import PROMISES, Promise
from lab.records.result import Result, VariantInfo, encode_results, overall
from lab.records.secret import masked
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.rig.capabilities import remedy
from lab.rig.protocol import RigProtocol
from lab.store import Store

SEARCH = 6.0
"""Seconds of random search for each variant where no budget is given."""

CUTS_NEED = 10.0
"""Seconds of a budget that the cuts of one variant may take on a busy machine."""

CUTS_TAKE = 4.0
"""Seconds that they mostly take: for an estimate."""


AHEAD = 3
"""Rounds of the promises that begin before a plan which changes its variant's settings: its zygote is starting yet."""


@dataclass(frozen=True)
class Options:
    """How much is checked, and from which seed.

    `promises`: identifiers, all when empty. `budget` in seconds, None without limit: when it is spent the random search
    ends, and a plan that has not begun leaves its moment unknown. `bound` is B in seconds, None as the variant claims,
    else 10. `search` is the random search's share in seconds for each variant; with a budget, all that is left of it.
    `cuts`: one request is cut before each of its messages, unless less than CUTS_NEED of the budget is left for it.
    `brief`: one plan for each moment of each promise, and none once all that asked for it are known to be broken.
    `claims`: presets and promises that the variants claim; () as their rows say, or Django's documentation.
    """

    promises: tuple[str, ...] = ()
    budget: float | None = None
    seed: int = 0
    bound: float | None = None
    search: float = SEARCH
    cuts: bool = True
    brief: bool = False
    claims: tuple[str, ...] = ()

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
    trials: list[Trial] = field(default_factory=list)
    cut: CutTrials = field(default_factory=CutTrials)
    searched: Searched = field(default_factory=Searched)
    skipped: list[str] = field(default_factory=list)
    begun: float | None = None
    ended: float = 0.0


def check(
    variants: Sequence[Variant],
    rig: RigProtocol,
    options: Options,
    store: Store,
    progress: Progress | None = None,
    apart: RigProtocol | None = None,
) -> list[Result]:
    """Judge every variant on one rig, their plans mixed, and store the evidence; one result each, in their order.

    `apart` is a second rig, for plans that must run alone; without it they come first, and the others wait.
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
            parts.append(_VariantPart(Entry(variant, zygote, folder, promises), gathered))
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
        apart: RigProtocol | None,
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
        self._apart = Trials(apart) if apart is not None else None
        self._lock = threading.Lock()
        self._start = time.monotonic()

    def results(self) -> list[Result]:
        """Run everything; the results are stored too."""
        for part in self._parts:
            plans = [case.promises for case in part.gathered.cases]
            self._progress.begins(part.entry.variant, plans, part.gathered.not_applicable)
        self._say_how_long()
        run_in_lanes(self._jobs(), self._lane, self._work, self._abort, apart=self._apart is not None)
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

        The promises take turns too: whoever watches sees something of each of them soon.
        """
        jobs = []
        for order, part in enumerate(self._parts):
            seen: Counter[str] = Counter()
            for case in part.gathered.cases:
                promise = case.made_for[0][0]
                changed = case.plan.variant != part.entry.variant
                jobs.append((seen[promise] + (AHEAD if changed else 0), case.number, order, part, case))
                seen[promise] += 1
        jobs.sort(key=lambda job: job[:3])
        return [(part, case) for *_, part, case in jobs]

    @staticmethod
    def _lane(job: tuple[_VariantPart, Case]) -> Lane:
        return lane(job[1].plan)

    def _work(self, job: tuple[_VariantPart, Case]) -> None:
        part, case = job
        begun = time.monotonic()
        if self._options.brief and part.entry.settled(case):
            with self._lock:
                self._progress.done(part.entry.variant, case.title, dict.fromkeys(case.promises, Verdict.NA), (), "")
            return
        with self._lock:
            self._progress.starts(part.entry.variant, case.title)
        trials = self._apart if self._apart is not None and self._lane(job) == "alone" else self._trials
        trial = Trial(case, missing=NOT_RUN) if self._left() <= 0 else trials.trial(case, part.entry)
        self._enter(part, trial, begun)

    def _cut(self, part: _VariantPart) -> None:
        options, entry = self._options, part.entry
        if not options.cuts or entry.zygote.traits.read_only or self._left() < CUTS_NEED:
            return
        self._progress.say(f"{entry.variant.name}: one request, cut before each of its messages")
        begun = time.monotonic()
        bound = options.bound or entry.variant.bound or 10.0
        number = len(part.gathered.cases) + 1
        with self._part("cuts", part):
            part.cut = cut(entry, self._rig, self._store, bound=bound, number=number)
        part.ended = time.monotonic()
        for trial in part.cut.trials:
            self._progress.further(entry.variant)
            self._enter(part, trial, begun)

    def _search(self, part: _VariantPart) -> None:
        options, entry = self._options, part.entry
        waiting = len(self._parts) - self._parts.index(part)
        seconds = options.search if options.budget is None else self._left() / waiting
        if seconds <= 0 or entry.zygote.traits.read_only:
            return
        self._progress.say(f"{entry.variant.name}: random search from seed {options.seed}, {seconds:.0f} s")
        begun = time.monotonic()
        with self._part("random search", part):
            part.searched = search(
                entry,
                self._rig,
                seed=options.seed,
                seconds=seconds,
                known={promise for trial in part.trials for promise in trial.broken},
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
        broken = tuple(promise for promise in trial.broken if promise in part.entry.ids)
        note = trial.missing or (f"void {trial.void} of {trial.runs}" if trial.void else "")
        verdicts = {promise: trial.finding(promise).verdict for promise in trial.case.promises}
        with self._lock:
            part.begun = begun if part.begun is None else min(part.begun, begun)
            part.ended = time.monotonic()
            part.trials.append(trial)
            self._progress.done(part.entry.variant, trial.case.title, verdicts, broken, note)

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
        entry = part.entry
        trials = sorted(part.trials, key=lambda trial: trial.case.number)
        cuts, searched = part.cut, part.searched
        at_stake = cuts.at_stake + searched.at_stake
        gathered = part.gathered
        engine, traits = entry.zygote.engine, entry.zygote.traits
        promises = tally(
            entry.variant,
            entry.promises,
            gathered.not_applicable,
            trials,
            at_stake,
            project=is_project(entry.variant, engine),
            known=known_limits(entry.variant, traits, engine),
            chosen=bool(self._options.claims),
        )
        result = Result(
            verdict=overall(promises),
            variant=_describe(entry),
            versions={**self._rig.versions(), **entry.zygote.traits.versions},
            seed=self._options.seed,
            seconds=round(part.ended - (part.begun or part.ended), 3),
            cases=sum(trial.runs for trial in trials) + cuts.runs + searched.runs,
            void=sum(trial.void for trial in trials) + cuts.void + searched.void,
            promises=promises,
            skipped=tuple(part.skipped),
        )
        entry.folder.finish(encode_results([result]))
        return result


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
        notes=traits.notes,
        project=is_project(variant, entry.zygote.engine),
        options=masked({**(options if isinstance(options, dict) else {}), **variant.options}, entry.zygote.secrets),
        keeping=traits.keeping,
    )
