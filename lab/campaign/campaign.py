"""Which slice comes next, and what becomes of its result: until all is done, or the time is over.

Nothing here depends on how many workers there are, nor on the order in which slices end: what a slice comes to is
written down by the names of its cases, and classes are lettered in the order of the cases.
"""

from __future__ import annotations

import shutil
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import msgspec

from lab.campaign import keeping
from lab.campaign.cluster import Cluster
from lab.campaign.keeping import (
    EXAMPLES,
    FILE,
    LEDGER,
    SHOWN,
    SKIPPED,
    SUFFIX,
    PartFile,
    SeedDone,
    Settings,
    drawn,
    head_of_search,
    place_of_search,
    shown,
    simplest,
)
from lab.campaign.kinds import KINDS, Kind, exploration, sample, seeds
from lab.campaign.progress import Progress
from lab.campaign.slices import Cases, Example, Look, Outcomes, Searched, Seed, Seen, Slice
from lab.errors import LabError
from lab.explore.engine import Outcome, Ran, fingerprint, first_cases, letters_of, outcomes_of, place_of
from lab.explore.ledger import Ledger
from lab.records.codec import encode
from lab.records.variant import Variant
from lab.store import CASES, CheckFolder, Store, slug, unwritable, write

SLICE_SECONDS = 8.0
"""How long a slice of cases is to take at least: little enough as a killed worker's loss."""
COST = 0.02
"""Seconds that a slice costs the scheduler and the campaign on a busy machine, all slices one after the other."""
FIRST = 8
"""Cases of the first slices, while nothing is known of how long one takes."""
LARGEST = 2000
TRIES = 3
"""Times that a slice is tried: a machine that is busy can hold a lab up for so long that it says nothing."""


def slice_seconds(workers: int) -> float:
    """How long a slice is to take, so that so many workers keep the scheduler busy for half of its time at most."""
    return max(SLICE_SECONDS, 2 * COST * workers)


class Part(ABC):
    """One kind of one variant: what is to be run of it, what is done, and why it is not run, if it cannot be."""

    def __init__(self, variant: Variant, kind: Kind, settings: Settings, store: Store, progress: Progress) -> None:
        self.variant = variant
        self.kind = kind
        self.settings = settings
        self.store = store
        self.progress = progress
        self.skipped = ""
        self.known: set[str] = set()

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.variant.name}: {self.kind}"

    @abstractmethod
    def next(self, *, late: bool, seconds: float) -> Slice[Any] | None:
        """The next slice, of about so many seconds; None where there is none now.

        `late`: the time is over, and only examples are run.
        """

    @abstractmethod
    def take(self, piece: Slice[Any], result: Any) -> None:
        """What a slice came to; raises StoreUnwritable."""

    def lost(self, piece: Slice[Any], error: LabError) -> None:
        """A slice that could not be run: the part ends, and says why."""
        self.skipped = self.skipped or str(error)
        self.progress.say(f"{piece.title}: not run: {error}")

    def _tell(self, promises: tuple[str, ...], where: str) -> None:
        for promise in promises:
            if promise not in self.known:
                self.known.add(promise)
                claimed = self.variant.claimed(promise)
                self.progress.broken(self.variant.name, promise, where, claimed=claimed)


class Explored(Part):
    """An exploration: a clean run, then its cases in slices, then one example of each class."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.exploration = exploration(self.kind, self.settings.preemptions)
        self.place: CheckFolder = place_of(self.exploration, self.variant, self.store, suffix=SUFFIX)
        self._looked = False
        self._cases: list[Any] | None = None
        self._ledger: Ledger
        self._todo: deque[Any] = deque()
        self._running = self._flying = 0  # slices, and the cases in them
        self._examples: list[Example] | None = None
        self._rate = 0.0
        self._same: dict[Outcome, Outcome] = {}

    def next(self, *, late: bool, seconds: float) -> Slice[Any] | None:
        if self.skipped:
            return None
        if self._cases is None:
            if self._looked or late:
                return None
            self._looked = True
            return Look(self.variant, self.kind, self.settings.preemptions)
        if self._todo and not late:
            size = min(LARGEST, max(1, round(seconds / self._rate))) if self._rate else FIRST
            cases = tuple(self._todo.popleft() for _ in range(min(size, len(self._todo))))
            self._running += 1
            self._flying += len(cases)
            return Cases(self.variant, self.kind, cases, self.settings.preemptions)
        if self._running:
            return None
        if self._examples is None:
            self._examples = self._wanted_examples()
        return self._examples.pop() if self._examples else None

    def take(self, piece: Slice[Any], result: Any) -> None:
        if isinstance(piece, Look):
            self._begin(result)
        elif isinstance(piece, Cases):
            self._running -= 1
            self._flying -= len(piece.cases)
            self._add(result)
        elif isinstance(piece, Example):
            self._keep(result)

    def lost(self, piece: Slice[Any], error: LabError) -> None:
        self._running -= isinstance(piece, Cases)
        super().lost(piece, error)

    def _begin(self, seen: Seen) -> None:
        every = self.exploration.cases(seen.seen)
        head = fingerprint(self.exploration, every, self.variant, seen.about, seen.bound)
        path = self.place.path / FILE
        if path.exists() and keeping.read(path, PartFile).head != head:
            self.skipped = (
                f"{self.place.path} holds cases that were run with other versions or another machine's variant; "
                "give another --store"
            )
            self.progress.say(f"{self.name}: {self.skipped}")
            return
        with unwritable(self.place.path):
            (self.place.path / CASES).mkdir(parents=True, exist_ok=True)
        part = PartFile(kind=self.kind, seen=seen.seen, about=seen.about, bound=seen.bound, head=head)
        write(path, encode(part))
        self._ledger = Ledger(self.place.path / LEDGER, head)
        self._cases = sample(every, self.variant, self.exploration, self.settings.quota, self.settings.shard)
        self._todo.extend(case for case in self._cases if case.name not in self._ledger.done)
        self._told(0.0)

    def _add(self, result: Outcomes) -> None:
        outcomes = [(name, self._same.setdefault(outcome, outcome)) for name, outcome in result.outcomes]
        self._ledger.add_all(outcomes, result.at_stake)
        self._rate = result.seconds / max(len(outcomes), 1)
        for name, outcome in outcomes:
            self._tell(outcome.promises, f"{self.kind}: {name}")
        self._told(result.seconds)

    def _told(self, seconds: float) -> None:
        assert self._cases is not None
        done = len(self._cases) - len(self._todo) - self._flying
        self.progress.part(self.name, done, len(self._cases), seconds)

    def _wanted_examples(self) -> list[Example]:
        """The examples that are not stored yet; those that are no example any more are removed."""
        assert self._cases is not None
        outcomes = outcomes_of(self._cases, self._ledger.done)
        firsts = list(first_cases(letters_of(outcomes)).values())
        there = shown(self.place.path)
        kept = {case.name: there[case.name] for case in firsts if case.name in there}
        for name in there.keys() - kept.keys():
            shutil.rmtree(self.place.path / CASES / slug(there[name][0]), ignore_errors=True)
        if there != kept:
            write(self.place.path / SHOWN, encode(kept))
        return [
            Example(self.variant, self.kind, case, outcomes[case], self.settings.preemptions)
            for case in firsts
            if case.name not in kept
        ]

    def _keep(self, ran: Ran[Any]) -> None:
        example = ran.kept(self.exploration, self.place, "example")
        there = shown(self.place.path)
        there[ran.case.name] = (example.path.parent.name, example.agreed, example.runs)
        write(self.place.path / SHOWN, encode(there))


class Search(Part):
    """Random searches: the first seed, then the others, which look for what it has not found."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        from hypothesis.database import DirectoryBasedExampleDatabase  # noqa: PLC0415 - late: it takes a while

        quota = self.settings.quota
        self.seeds = seeds(self.settings.seed, quota, self.variant, self.settings.shard)
        self.place = CheckFolder(self.store.root, place_of_search(self.store, self.variant))
        with unwritable(self.place.path):
            (self.place.path / CASES).mkdir(parents=True, exist_ok=True)
        self._drawn = drawn(self.settings)
        self._ledger = Ledger(self.place.path / LEDGER, head_of_search(self.settings))
        self._database = DirectoryBasedExampleDatabase(self.store.root / EXAMPLES)
        self._todo = deque(seed for seed in self.seeds if str(seed) not in self._ledger.done)

    def next(self, *, late: bool, seconds: float) -> Slice[Any] | None:
        if late or self.skipped or not self._todo:
            return None
        first = str(self.seeds[0])
        if self._todo[0] == self.seeds[0]:
            return Seed(self.variant, self._todo.popleft(), (), self._drawn)
        if first not in self._ledger.done:
            return None  # the first one runs
        known = msgspec.convert(self._ledger.done[first], SeedDone).finds
        return Seed(self.variant, self._todo.popleft(), tuple(sorted(known)), self._drawn)

    def take(self, piece: Slice[Any], result: Searched) -> None:
        assert isinstance(piece, Seed)
        for key, value in result.examples:
            with unwritable(self.store.root / EXAMPLES):
                self._database.save(key, value)
        finds = {find.promise: len(find.record.plan.steps) for find in result.finds}
        for find in result.finds:
            if (finds[find.promise], piece.seed) < simplest(self._ledger.done, find.promise):
                agreement = {find.promise: f"{1 + find.agreed} of {1 + find.replays} runs agree"}
                self.place.keep(f"random {find.promise}", find.record, find.findings, agreement)
        agreed = {find.promise: (1 + find.agreed, 1 + find.replays) for find in result.finds}
        done = SeedDone(finds=finds, agreed=agreed, cases=result.cases, void=result.void)
        self._ledger.add_all([(str(piece.seed), done)], result.at_stake)
        self._tell(tuple(finds), f"random search from seed {piece.seed}")
        self.progress.part(self.name, len(self._ledger.done), len(self.seeds), result.seconds)


def run_campaign(
    settings: Settings,
    store: Store,
    cluster: Cluster,
    progress: Progress,
    seconds: float | None = None,
    ended: Callable[[Slice[Any], Any], None] = lambda piece, result: None,
) -> None:
    """Run what is not done yet, for so many seconds at most; None: until all is done.

    What has been done is in the store at any time, so that it can be ended at any time, and goes on from there. `ended`
    hears of each slice. Raises LabError, StoreUnwritable.
    """
    kinds: dict[Kind, type[Part]] = dict.fromkeys(KINDS, Explored) | {"search": Search}
    parts = [
        kinds[kind](variant, kind, settings, store, progress)
        for kind in settings.kinds
        for variant in settings.variants
    ]
    until = float("inf") if seconds is None else time.monotonic() + seconds
    turn: deque[Part] = deque(parts)
    owner: dict[int, Part] = {}
    failed: Counter[int] = Counter()
    again: deque[Slice[Any]] = deque()

    def more() -> Slice[Any] | None:
        """Of the next part that has one: parts take turns, so that time that is over has been shared."""
        progress.workers(cluster.workers)
        if again:
            return again.popleft()
        late, length = time.monotonic() > until, slice_seconds(cluster.workers)
        for _ in range(len(turn)):
            part = turn[0]
            turn.rotate(-1)
            if (piece := part.next(late=late, seconds=length)) is not None:
                owner[id(piece)] = part
                return piece
        return None

    for piece, result in cluster.results(more):
        failed[id(piece)] += isinstance(result, LabError)
        if isinstance(result, LabError) and failed[id(piece)] < TRIES:
            again.append(piece)
            progress.say(f"{piece.title}: {result}; it is tried again")
            continue
        part = owner.pop(id(piece))
        del failed[id(piece)]
        if isinstance(result, LabError):
            part.lost(piece, result)
        else:
            part.take(piece, result)
        ended(piece, result)
    skipped = {part.name: part.skipped for part in parts if part.skipped}
    write(store.root / SKIPPED, encode(skipped))
