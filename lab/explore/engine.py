"""The engine under every exploration: run all cases, put them into classes, store one example of each class.

An exploration tries everything there is of one kind: one request cut at every message (cuts), a few requests in every
order (interleavings). What differs is an `Exploration`; all else is here. Another exploration is one file beside
those two:

1. a case: a frozen dataclass with a `name` that is unique within the exploration;
2. a table: a subclass of `Table`, which is what `--json` writes;
3. a subclass of `Exploration`: its cases, the plan of a case, what a run of it saw, and the table.

The cases are a pure function of the exploration and of what its `look` has seen, so that they can be counted, shared
out and joined where there is no rig.

`explore(MyExploration(...), Target(variant, rig, zygote), store)` runs it. A person who wants to start it from the
command line adds one module to lab/cli, a line to lab/cli/explore.py, and one module to lab/report for what is printed.

Cases run on few threads where they compute and on many where they wait. Each case that is done is written to a
ledger, so a stop loses only what was running. Equal explorations give equal tables: classes are lettered in the order
of the cases, never in the order in which the cases ended.
"""

from __future__ import annotations

import hashlib
import queue
import shutil
import string
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

import msgspec
from msgspec import Struct

from lab.edition import edition
from lab.errors import LabError
from lab.explore.ledger import Ledger
from lab.explore.progress import Progress, silent
from lab.explore.threads import finish
from lab.judging.judge import judge
from lab.promise import Promise
from lab.records.codec import encode
from lab.records.plan import Plan
from lab.records.record import Record
from lab.records.shard import WHOLE, Shard
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding, Verdict
from lab.rig.protocol import ProxyProtocol, RigProtocol
from lab.run import run
from lab.store import CheckFolder, Store, masked_variant, slug, unwritable, write
from lab.subject.handle import Zygote

NARROW = 3
"""Cases at once that compute: each waits for a server now and then, so one more than the usual two processors."""
WIDE = 16
"""Cases at once that mostly wait for a fault to end; with the narrow ones they fit into a rig's 40 seats."""
BOUND = 10.0
"""B in seconds, the longest that one call may take, where neither a flag nor the variant says another."""
AGAIN = 2
"""Times at most that a case is run until a run proves something; after that it is void."""
CONFIRM = 3
"""Times at most that the example of a class is run again, until a run agrees."""

Saw = Literal["nothing", "error", "doubt"]
"""What the explored requests saw of it: no error, an error, or a COMMIT whose outcome they cannot know."""
CALM: dict[Saw, str] = {"nothing": ".", "error": "e", "doubt": "?"}
"""The letters of classes in which no promise is broken; the letters of the others are A, B, C and so on."""
VOID = "-"
"""The letter of cases that prove nothing, also when run again."""
NOT_RUN = " "
"""The letter of cases that are another shard's, or that a campaign had no time for."""
SHARD = "shard.json"
"""In the folder of a shard of an exploration: what is needed to join it with the others."""
KEPT = {".": "kept", "e": "kept error", "?": "kept doubt"}
"""How the folder of an example begins where the letter itself would make a poor name."""


class Case(Protocol):
    """One case of an exploration. It must be hashable; a frozen dataclass is."""

    @property
    def name(self) -> str:
        """Unique within one exploration: the ledger knows a case by it."""


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What a case came to: the broken promises, what its requests saw, and whether it proves anything."""

    promises: tuple[str, ...]
    saw: Saw = "nothing"
    counted: bool = True


class Class(msgspec.Struct, frozen=True, kw_only=True):
    """Cases that came to the same: how many, the promises that they break, and the plan of one that replays.

    `class` is its letter; `evidence` is the path of that plan, relative to the store's folder.
    """

    letter: str = msgspec.field(name="class")
    count: int
    promises: tuple[str, ...]
    evidence: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """What an exploration came to, for programs."""

    def encode(self) -> bytes:
        """As JSON; equal explorations give equal bytes."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


C = TypeVar("C", bound=Case)
T = TypeVar("T", bound=Table)


@dataclass(frozen=True)
class Example(Generic[C]):
    """One case of a class, run once more as `lab replay` does: `agreed` of `runs` further runs came to the same."""

    case: C
    agreed: int
    runs: int
    path: Path
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Explored(Generic[C, T]):
    """A table with what it was made of, for people.

    `examples` by the letter of their class. `cases` were run in `seconds`; further `resumed` ones had been run before
    a stop. `at_stake` counts the runs that put each promise at stake.
    """

    table: T
    classes: tuple[Class, ...]
    examples: dict[str, Example[C]]
    outcomes: dict[C, Outcome]
    at_stake: Counter[str]
    seconds: float
    cases: int
    resumed: int

    @property
    def broken(self) -> tuple[str, ...]:
        """The promises that some case broke, in the order of the classes."""
        return tuple(dict.fromkeys(promise for each in self.classes for promise in each.promises))


@dataclass(frozen=True)
class Target:
    """What is explored: a variant on its rig. `bound` is B in seconds; `promises` are those that judge, None: all."""

    variant: Variant
    rig: RigProtocol
    zygote: Zygote
    bound: float = BOUND
    promises: tuple[Promise, ...] | None = None

    def judge(self, record: Record) -> tuple[Finding, ...]:
        """What the chosen promises say of a run."""
        return judge(record, list(self.promises) if self.promises else None)


class Exploration(ABC, Generic[C, T]):
    """One kind of exploration, and what is asked of it."""

    ledger: ClassVar[str] = "progress.jsonl"
    """The file that remembers, until all is done, which cases are."""
    lean: ClassVar[bool] = False
    """Whether cases have one actor, so that a run need not look for blocked steps (see lab.run.run)."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What its folder is called, within that of the variant; equal explorations have equal names."""

    @abstractmethod
    def cases(self, seen: Any) -> Sequence[C]:
        """All cases in the order of the table, the simplest first, by what `look` has seen; it runs nothing."""

    @abstractmethod
    def plan(self, case: C, variant: Variant, bound: float) -> Plan:
        """The whole case as a plan; `bound` is B in seconds."""

    @abstractmethod
    def table(self, outcomes: Mapping[C, Outcome], letters: Mapping[C, str], classes: tuple[Class, ...]) -> T:
        """The table; `letters` are the classes of the cases, void ones included."""

    # What follows has a default that most explorations keep.

    def saw(self, record: Record) -> Saw:
        """What the explored requests saw in this run: by default, whether any step failed."""
        return "error" if any(op.type in ("fail", "info") for op in record.ops) else "nothing"

    def look(self, target: Target) -> Any:
        """What a clean run shows of the variant that the cases depend on, as JSON data; None where they do not.

        Raises LabError (see `unserved`) when the variant does not work without any fault.
        """
        return None

    def identity(self, cases: Sequence[C], variant: Variant, bound: float) -> Any:
        """What must be equal, besides variant, versions and judges, for a stopped exploration to be taken up."""
        return [self.plan(case, variant, bound) for case in cases]

    def waits(self, case: C) -> bool:
        """Whether a request of the case may wait until its fault is healed: such cases run on more threads."""
        return False

    def alone(self, case: C) -> bool:
        """Whether the case strikes all that a rig runs, as a restart of the server does: no other runs beside it."""
        return False

    def concerns(self, case: C, promise: str) -> bool:
        """Whether a break of this promise counts in this case; other promises are at stake in it only by luck."""
        return True

    def missed(self, case: C, record: Record) -> bool:
        """Whether the run proves nothing of this case."""
        return bool(record.void)

    def agrees(self, expected: Outcome, again: Outcome) -> bool:
        """Whether a further run came to the same; it may break more, because it is watched for longer."""
        return set(expected.promises) <= set(again.promises)

    def example_name(self, word: str, case: C) -> str:
        """What the folder of an example is called; `word` says which class it is of."""
        return f"{word} {case.name}"

    @property
    def struck_by_toxics(self) -> bool:
        """Whether a case may put toxics on its proxy and has something to recover from.

        Each case then has a proxy of its own and a liveness phase. Otherwise proxies are used again, because a fresh
        one would cost a fifth of a case.
        """
        return False


def explore(
    exploration: Exploration[C, T],
    target: Target,
    store: Store,
    *,
    progress: Progress = silent,
    folder: CheckFolder | None = None,
    shard: Shard = WHOLE,
) -> Explored[C, T]:
    """Run all cases and store an example of each class; call it from the main thread.

    A stop, Ctrl-C too, is taken up where it was. The examples are stored in `folder`, or in one of the variant's own
    that is always the same; of a `shard` of all cases its outcomes stay there, too, for `lab merge`. Raises
    StoreUnwritable, SubjectLost, BadInput for a fault that does not exist or that the rig cannot do, or LabError when
    the variant does not work without any fault.
    """
    begun = time.monotonic()
    seen = exploration.look(target)
    every = exploration.cases(seen)
    cases = share(exploration, target.variant, every, shard)
    place = folder or place_of(exploration, target.variant, store, shard)
    head = fingerprint(exploration, every, target.variant, about(target), target.bound)
    ledger = Ledger(place.path / exploration.ledger, [head, shard] if shard.of > 1 else head)
    resumed = len(ledger.done)
    runs = Runs(exploration, target)

    def done(case: C, outcome: Outcome) -> None:
        ledger.add(case.name, outcome)
        progress(len(ledger.done), len(cases))

    runs.all([case for case in cases if case.name not in ledger.done], done)
    outcomes = {case: msgspec.convert(ledger.done[case.name], Outcome) for case in cases}
    if folder is None:
        empty(place.path / "cases")
    firsts = first_cases(letters_of(outcomes))
    examples = {
        letter: runs.example(case, outcomes[case]).kept(exploration, place, letter) for letter, case in firsts.items()
    }
    found = conclude(exploration, outcomes, examples, store, at_stake=runs.at_stake)
    if shard.whole:
        ledger.finish()
    else:
        keep_shard(place, exploration, target, seen, shard, head, examples)
    return replace(found, seconds=time.monotonic() - begun, cases=len(cases) - resumed, resumed=resumed)


def conclude(
    exploration: Exploration[C, T],
    outcomes: Mapping[C, Outcome],
    examples: Mapping[str, Example[C]],
    store: Store,
    *,
    at_stake: Counter[str] | None = None,
) -> Explored[C, T]:
    """What outcomes of cases, in the order of the cases, and an example of each class come to."""
    letters = letters_of(outcomes)
    classes = _classes(outcomes, letters, examples, store)
    return Explored(
        table=exploration.table(outcomes, letters, classes),
        classes=classes,
        examples=dict(examples),
        outcomes=dict(outcomes),
        at_stake=at_stake or Counter(),
        seconds=0.0,
        cases=len(outcomes),
        resumed=0,
    )


def share(exploration: Exploration[C, T], variant: Variant, cases: Sequence[C], shard: Shard) -> Sequence[C]:
    """The cases that are in a shard: by the variant, the exploration and the case's name, which stand for its plan."""
    if shard.whole:
        return cases
    return [case for case in cases if shard.holds(f"{variant.name} {exploration.name} {case.name}")]


def unserved(variant: Variant, record: Record) -> LabError:
    """The error of a variant that fails without any fault: what an exploration saw of it would mean nothing."""
    why = record.void or next((op.chain[0].text for op in record.ops if op.chain), "no answer")
    return LabError(f"{variant.name} does not serve a request without any fault: {why}", "run `lab check` on it")


# -- classes ----------------------------------------------------------------------------------------------------------


def letters_of(outcomes: Mapping[C, Outcome]) -> dict[C, str]:
    """The class of each case; broken classes are lettered in the order in which the cases are given."""
    known: dict[tuple[str, ...], str] = {}
    letters = {}
    for case, outcome in outcomes.items():
        if not outcome.counted:
            letters[case] = VOID
        elif outcome.promises:
            letters[case] = known.setdefault(outcome.promises, _letter(len(known)))
        else:
            letters[case] = CALM[outcome.saw]
    return letters


def outcomes_of(cases: Sequence[C], done: Mapping[str, Any]) -> dict[C, Outcome]:
    """What those of the cases that are done came to, from a ledger; in the order of the cases."""
    return {case: msgspec.convert(done[case.name], Outcome) for case in cases if case.name in done}


def first_cases(letters: Mapping[C, str]) -> dict[str, C]:
    """The first case of each class by its letter: the calm classes first, then A, B, C. Void cases have no class."""
    firsts: dict[str, C] = {}
    for case, letter in letters.items():
        if letter != VOID:
            firsts.setdefault(letter, case)
    rank = {letter: index for index, letter in enumerate(CALM.values())}
    return dict(sorted(firsts.items(), key=lambda first: (rank.get(first[0], len(rank)), first[0])))


def _letter(number: int) -> str:
    """A to Z, then alpha, beta, gamma."""
    return string.ascii_uppercase[number] if number < len(string.ascii_uppercase) else chr(0x3B1 + number - 26)


def _classes(
    outcomes: Mapping[C, Outcome], letters: Mapping[C, str], examples: Mapping[str, Example[C]], store: Store
) -> tuple[Class, ...]:
    counts = Counter(letters.values())
    return tuple(
        Class(
            letter=letter,
            count=counts[letter],
            promises=outcomes[example.case].promises,
            evidence=str(example.path.relative_to(store.root)),
        )
        for letter, example in examples.items()
    )


# -- runs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ran(Generic[C]):
    """The last of `runs` further runs of a case; `agreed` of them came to what was expected."""

    case: C
    expected: Outcome
    agreed: int
    runs: int
    record: Record
    findings: tuple[Finding, ...]

    def kept(self, exploration: Exploration[C, Any], folder: CheckFolder, letter: str) -> Example[C]:
        """Store it as the example of a class."""
        agreement = dict.fromkeys(self.expected.promises, f"{self.agreed} of {self.runs} further runs agree")
        name = exploration.example_name(KEPT.get(letter, letter), self.case)
        path = folder.keep(name, self.record, self.findings, agreement)
        return Example(self.case, self.agreed, self.runs, path, self.findings)


class Runs(Generic[C, T]):
    """Runs cases of one exploration, `narrow` at once that compute and WIDE that wait. Used by many threads.

    A case is run `again` times at most until a run proves something.
    """

    def __init__(
        self, exploration: Exploration[C, T], target: Target, *, narrow: int = NARROW, again: int = AGAIN
    ) -> None:
        self._exploration = exploration
        self._target = target
        self._narrow = narrow
        self._again = again
        self._proxies: queue.SimpleQueue[ProxyProtocol] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.at_stake: Counter[str] = Counter()

    def all(self, cases: Sequence[C], done: Callable[[C, Outcome], None]) -> None:
        """Run these, in their order, then those that must run alone; `done` hears of each, from any thread."""
        ended = threading.Event()
        apart = [case for case in cases if self._exploration.alone(case)]
        waits = {case: self._exploration.waits(case) for case in cases if case not in apart}
        threads = self._narrow * (False in waits.values()) + WIDE * (True in waits.values())

        def work(case: C) -> None:
            if not ended.is_set():
                done(case, self._until_it_counts(case))

        with (
            self._with_proxies(threads),
            ThreadPoolExecutor(self._narrow, "cases") as narrow,
            ThreadPoolExecutor(WIDE, "waiting cases") as wide,
            ThreadPoolExecutor(1, "cases alone") as alone,
        ):
            try:
                finish((wide if waits[case] else narrow).submit(work, case) for case in waits)
                finish(alone.submit(work, case) for case in apart)
            except BaseException:
                ended.set()
                for pool in (narrow, wide, alone):
                    pool.shutdown(wait=False, cancel_futures=True)
                self._target.zygote.close()  # every run in progress then ends at its next step
                raise

    def example(self, case: C, expected: Outcome) -> Ran[C]:
        """Run a case as `lab replay` does until a run agrees with what it came to before."""
        target = self._target
        plan = self._exploration.plan(case, target.variant, target.bound)
        agreed = runs = 0
        while not agreed and runs < CONFIRM:
            record = run(plan, target.rig, target.zygote)
            findings = target.judge(record)
            runs += 1
            again = self._outcome(case, record, findings)
            agreed += again.counted and self._exploration.agrees(expected, again)
        return Ran(case, expected, agreed, runs, record, findings)

    def _until_it_counts(self, case: C) -> Outcome:
        """Run a case, so many times at most."""
        plan = self._exploration.plan(case, self._target.variant, self._target.bound)
        for _ in range(self._again):
            record = self._record(plan)
            findings = self._target.judge(record)
            outcome = self._outcome(case, record, findings)
            if outcome.counted:
                break
        with self._lock:
            concerned = self._concerned(case, findings)
            self.at_stake.update(each.promise for each in concerned if each.verdict in (Verdict.KEPT, Verdict.BROKEN))
        return outcome

    def _outcome(self, case: C, record: Record, findings: Sequence[Finding]) -> Outcome:
        concerned = self._concerned(case, findings)
        broken = tuple(sorted(each.promise for each in concerned if each.verdict is Verdict.BROKEN))
        return Outcome(broken, self._exploration.saw(record), not self._exploration.missed(case, record))

    def _concerned(self, case: C, findings: Sequence[Finding]) -> list[Finding]:
        return [each for each in findings if self._exploration.concerns(case, each.promise)]

    def _record(self, plan: Plan) -> Record:
        target = self._target
        if self._exploration.struck_by_toxics:
            return run(plan, target.rig, target.zygote)
        try:
            proxy = self._proxies.get_nowait()
        except queue.Empty:
            proxy = None
        record = run(plan, target.rig, target.zygote, liveness=False, lean=self._exploration.lean, proxy=proxy)
        if proxy is not None and not record.void:  # otherwise the proxy may be what is wrong
            self._proxies.put(proxy)
        return record

    @contextmanager
    def _with_proxies(self, number: int) -> Iterator[None]:
        """So many proxies to be used again, for the length of the block; none where toxics would spoil them."""
        with ExitStack() as stack:
            for _ in range(0 if self._exploration.struck_by_toxics else number):
                self._proxies.put(stack.enter_context(self._target.rig.proxy(f"explore-{uuid.uuid4().hex[:12]}")))
            yield
            while not self._proxies.empty():
                self._proxies.get()


# -- where it is kept -------------------------------------------------------------------------------------------------


def place_of(
    exploration: Exploration[C, T], variant: Variant, store: Store, shard: Shard = WHOLE, suffix: str = ""
) -> CheckFolder:
    """The folder of an exploration within that of its variant; equal ones have the same, each shard one of its own."""
    name = exploration.name + suffix + ("" if shard.whole else f" shard {shard.index} of {shard.of}")
    return CheckFolder(store.root, store.root / slug(variant.name, keep="._") / slug(name))


class About(Struct, frozen=True):
    """What an outcome depends on besides the plans: what was found of the variant, versions of the rig, the judges."""

    traits: Traits
    versions: dict[str, str]
    promises: tuple[str, ...] = ()


def about(target: Target) -> About:
    """The same of what is explored."""
    return About(target.zygote.traits, target.rig.versions(), tuple(promise.id for promise in target.promises or ()))


def fingerprint(exploration: Exploration[C, T], cases: Sequence[C], variant: Variant, what: About, bound: float) -> str:
    """Another variant, another version of anything, other judges or other cases are another exploration.

    The fields of an outcome are part of it: a ledger that was written with other fields is begun anew. How long
    sessions were seen to last is not: where they end at random, each look sees something else.
    """
    all_of_it = (
        msgspec.structs.replace(what.traits, serves=None, lasts=None, keeping=""),
        what.versions,
        what.promises,
        [case.name for case in cases],
        exploration.identity(cases, variant, bound),
        Outcome.__struct_fields__,
    )
    return hashlib.sha256(msgspec.json.encode(all_of_it, order="deterministic")).hexdigest()


class ShardFile(Struct, frozen=True, kw_only=True):
    """What lies beside the outcomes of a shard, so that they can be joined with those of the others.

    `kind` is the exploration's class, `exploration` its fields, `seen` what `look` has seen. `examples`, by the name of
    a case: the folder of its run, how many further runs agreed, and how many there were.
    """

    edition: str
    shard: Shard
    kind: str
    exploration: Any
    seen: Any
    head: str
    variant: Variant
    versions: dict[str, str]
    bound: float
    promises: tuple[str, ...]
    examples: dict[str, tuple[str, int, int]]


def keep_shard(
    place: CheckFolder,
    exploration: Exploration[C, T],
    target: Target,
    seen: Any,
    shard: Shard,
    head: str,
    examples: Mapping[str, Example[C]],
) -> None:
    """Write it, the last thing of a shard: one without it was stopped. Raises StoreUnwritable."""
    what = about(target)
    document = ShardFile(
        edition=edition(),
        shard=shard,
        kind=type(exploration).__name__,
        exploration=exploration,
        seen=seen,
        head=head,
        variant=masked_variant(target.variant),
        versions={**what.versions, **what.traits.versions},
        bound=target.bound,
        promises=what.promises,
        examples={each.case.name: (each.path.parent.name, each.agreed, each.runs) for each in examples.values()},
    )
    write(place.path / SHARD, encode(document))


def empty(folder: Path) -> None:
    """A folder without what an earlier exploration left in it."""
    with unwritable(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
