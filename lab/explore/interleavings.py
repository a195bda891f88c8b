"""Every interleaving: a few requests at the same time, their database steps in every order there is.

A schedule is a list of small integers, one for each step: which of the actors that have something left goes next, 0
being the one that went last. Any list is a schedule; one that ends early goes on with zeros, so that the empty one is
sequential. A preemption is a step by another actor while the last one could have gone on. Few of them find most of
what there is to find, which is why orders are sorted by their number and may be bounded by it.
"""

from __future__ import annotations

import hashlib
import queue
import shutil
import string
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from math import factorial, prod
from pathlib import Path
from typing import Literal, get_args

import msgspec

from lab.errors import LabError, UnknownName
from lab.explore.ledger import Ledger
from lab.explore.threads import finish
from lab.fault import build
from lab.judging.judge import judge
from lab.promise import Promise
from lab.records.plan import Begin, Close, End, Enter, FaultSpec, Heal, Inject, Leave, Plan, Read, Step, Write
from lab.records.record import Record
from lab.records.variant import Variant
from lab.records.verdict import Finding, Verdict
from lab.rig.protocol import ProxyProtocol, RigProtocol
from lab.run import run
from lab.store import CheckFolder, Store, slug, unwritable
from lab.subject.handle import Zygote

Shape = Literal["rollback", "close", "read", "commit", "close-inside"]
"""What a request does, in four steps of the database:

rollback      an atomic block with two writes that is left by an exception
commit        an atomic block with two writes
close         an atomic block with two writes; then the connection is closed by hand, early
close-inside  two writes, and the connection is closed by hand inside their atomic block
read          four queries
"""
SHAPES: tuple[Shape, ...] = get_args(Shape)
USUAL: dict[int, tuple[Shape, ...]] = {2: ("rollback", "close"), 3: ("rollback", "close", "read")}
"""What so many requests do where nothing else is asked for."""
BOUND = 2
"""Preemptions at most where all orders would be too many: with three requests, or with a fault at every position."""

WORKERS = 3
"""Cases at once: each waits for a server now and then, so one more than there are processors."""
WAITERS = 16
"""… of those that mostly wait, because of their fault."""
AGAIN = 2
"""Times that a case is run whose fault was not seen to land, before it is counted as void."""
CONFIRM = 3
"""Times at most that the example of a class is run again, until a run agrees."""
VOID = "-"
CALM = {".": "nothing broken, no error seen", "e": "nothing broken, a request got an error"}
"""Classes in which no promise is broken; the others are letters from A on."""

Schedule = tuple[int, ...]
Order = tuple[int, ...]
"""Which actor makes each step."""
Unit = tuple[Step, ...]
"""A step of the database, with what surrounds it in a request."""


# -- orders, which are pure arithmetic ------------------------------------------------------------------------------


def follow(lengths: Sequence[int], schedule: Sequence[int] = ()) -> Order:
    """The order that a schedule means for actors with so many steps each; what it has too many is ignored."""
    left, last, order = list(lengths), 0, []
    for place in range(sum(lengths)):
        runnable = _runnable(left, last)
        last = runnable[(schedule[place] if place < len(schedule) else 0) % len(runnable)]
        left[last] -= 1
        order.append(last)
    return tuple(order)


def schedules(lengths: Sequence[int], preemptions: int | None = None) -> list[Schedule]:
    """One schedule for each order with at most so many preemptions, those with fewer first, without final zeros."""
    found = sorted(_schedules(list(lengths), 0, preemptions, started=False))
    return [_stripped(schedule) for _, schedule in found]


def number_of(lengths: Sequence[int]) -> int:
    """How many orders there are, without making them."""
    return factorial(sum(lengths)) // prod(factorial(length) for length in lengths)


def preemptions_of(order: Sequence[object]) -> int:
    """How often another actor goes on although the last one has not finished."""
    return sum(one != other and one in order[place:] for place, (one, other) in enumerate(pairwise(order), 1))


def _runnable(left: Sequence[int], last: int) -> list[int]:
    """The actors that have something left, beginning with the one that went last and going round."""
    turn = [(last + step) % len(left) for step in range(len(left))]
    return [actor for actor in turn if left[actor]]


def _schedules(left: list[int], last: int, preemptions: int | None, *, started: bool) -> Iterator[tuple[int, Schedule]]:
    """How many preemptions each schedule has, and the schedule."""
    runnable = _runnable(left, last)
    if not runnable:
        yield 0, ()
    for choice, actor in enumerate(runnable):
        cost = int(started and choice > 0 and left[last] > 0)
        if preemptions is not None and cost > preemptions:
            return
        left[actor] -= 1
        rest = None if preemptions is None else preemptions - cost
        for more, schedule in _schedules(left, actor, rest, started=True):
            yield cost + more, (choice, *schedule)
        left[actor] += 1


def _stripped(schedule: Schedule) -> Schedule:
    while schedule and not schedule[-1]:
        schedule = schedule[:-1]
    return schedule


# -- plans ----------------------------------------------------------------------------------------------------------


def program(shape: Shape, actor: str) -> tuple[Unit, ...]:
    """One request as four steps of the database; its beginning and its end go with the first and the last."""
    begin, enter, write, end = Begin(actor), Enter(actor), Write(actor), End(actor)
    match shape:
        case "rollback":
            return (begin, enter), (write,), (write,), (Leave(actor, "rollback"), end)
        case "commit":
            return (begin, enter), (write,), (write,), (Leave(actor), end)
        case "close":  # BEGIN reaches the server with the first write
            return (begin, enter, write), (write,), (Leave(actor),), (Close(actor), end)
        case "close-inside":
            return (begin, enter), (write,), (write,), (Close(actor), Leave(actor), end)
        case "read":
            return (begin, Read(actor)), (Read(actor),), (Read(actor),), (Read(actor), end)


@dataclass(frozen=True)
class Case:
    """One order of the requests' steps; `fault_at` is the position of the step before which the fault comes, or -1."""

    schedule: Schedule
    order: Order
    fault_at: int = -1

    @property
    def name(self) -> str:
        """The order as one digit for each step, `!` where the fault comes: unique within one exploration."""
        text = "".join(map(str, self.order))
        return text if self.fault_at < 0 else f"{text[: self.fault_at]}!{text[self.fault_at :]}"


@dataclass(frozen=True)
class Scene:
    """The requests that are interleaved, and the fault that comes in between."""

    shapes: tuple[Shape, ...]
    fault: FaultSpec | None = None

    @property
    def programs(self) -> tuple[tuple[Unit, ...], ...]:
        """The steps of `t0`, `t1` and `t2`."""
        return tuple(program(shape, f"t{number}") for number, shape in enumerate(self.shapes))

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many steps each of them has."""
        return tuple(map(len, self.programs))

    @property
    def waits(self) -> bool:
        """Whether somebody may wait until the fault is healed."""
        return self.fault is not None and build(self.fault).waits

    def cases(self, preemptions: int | None) -> list[Case]:
        """All of them, the simplest first; with a fault each order once for every position within a request."""
        orders = [(schedule, follow(self.lengths, schedule)) for schedule in schedules(self.lengths, preemptions)]
        return [
            Case(schedule, order, place)
            for schedule, order in orders
            for place in ((-1,) if self.fault is None else _positions(self.lengths, order))
        ]

    def plan(self, case: Case, variant: Variant, bound: float) -> Plan:
        """The whole case as a plan; a fault that makes somebody wait is healed when the next step is seen to."""
        rest = [iter(units) for units in self.programs]
        steps: list[Step] = []
        for place, actor in enumerate(case.order):
            unit = next(rest[actor])
            steps += self._struck(unit) if place == case.fault_at else unit
        return Plan(
            variant=variant,
            steps=tuple(steps),
            title=f"interleaving {case.name}",
            source="interleavings",
            bound=bound,
        )

    def _struck(self, unit: Unit) -> Unit:
        assert self.fault is not None
        if not self.waits:
            return (Inject(self.fault), *unit)
        asks = 1 + isinstance(unit[0], Begin)
        return (Inject(self.fault), *unit[:asks], Heal(), *unit[asks:])


def _positions(lengths: Sequence[int], order: Order) -> list[int]:
    """Where a fault finds somebody: before the first step, and between two requests, nobody need be connected."""
    found = []
    done = [0] * len(lengths)
    for place, actor in enumerate(order):
        if any(0 < count < length for count, length in zip(done, lengths, strict=True)):
            found.append(place)
        done[actor] += 1
    return found


# -- what comes of them -----------------------------------------------------------------------------------------------


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What a case came to: the broken promises, whether any request saw an error, and whether it proves anything."""

    promises: tuple[str, ...]
    error: bool = False
    counted: bool = True


class Ordered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One case in the table: its order in digits, the schedule that means it, and where the fault came."""

    order: str
    schedule: Schedule
    fault_at: int = -1


class Class(msgspec.Struct, frozen=True, kw_only=True):
    """Cases that came to the same: how many, the promises that they break, and the path of one that replays.

    The path is that of the simplest, relative to the store's folder.
    """

    letter: str = msgspec.field(name="class")
    count: int
    promises: tuple[str, ...]
    evidence: str


class Interleavings(msgspec.Struct, frozen=True, kw_only=True):
    """The table of an exploration. `preemptions` is their bound, None: all orders. `-` is the class of void cases.

    `orders` counts the orders that were run and `all_orders` those that there are; with a fault each is run once for
    every position, which makes `cases`.
    """

    requests: tuple[str, ...]
    fault: FaultSpec | None
    orders: int
    all_orders: int
    preemptions: int | None
    cases: int
    void: int
    classes: tuple[Class, ...]
    orders_by_class: dict[str, tuple[Ordered, ...]]

    def encode(self) -> bytes:
        """As JSON; equal explorations give equal bytes."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @property
    def broken(self) -> tuple[str, ...]:
        """The promises that some case broke."""
        return tuple(dict.fromkeys(promise for each in self.classes for promise in each.promises))


@dataclass(frozen=True)
class Example:
    """The simplest case of a class, run once more as `lab replay` does: `agreed` of `runs` broke the same promises."""

    case: Case
    agreed: int
    runs: int
    path: Path


@dataclass(frozen=True)
class Explored:
    """A table with what it was made of, for people. `resumed` of its cases had been run before a stop."""

    table: Interleavings
    examples: dict[str, Example]
    seconds: float
    cases: int
    resumed: int


Tell = Callable[[int, int], None]
"""Told how many cases of how many are done, from any thread."""


@dataclass(frozen=True)
class Stage:
    """What an exploration runs on. `bound` is B in seconds; `promises` are those that judge, all when None."""

    variant: Variant
    rig: RigProtocol
    zygote: Zygote
    bound: float = 10.0
    promises: tuple[Promise, ...] | None = None
    proxies: queue.SimpleQueue[ProxyProtocol] = field(default_factory=queue.SimpleQueue)
    """Proxies to be used again where no fault touches them: a fresh one for each case would cost a fifth of it."""

    def run(self, scene: Scene, case: Case) -> Outcome:
        """Run a case until it counts, AGAIN times at most."""
        plan = scene.plan(case, self.variant, self.bound)
        for again in range(AGAIN):
            record = self._record(plan)
            if not record.void or again == AGAIN - 1:
                break
        error = any(op.type in ("fail", "info") for op in record.ops)
        return Outcome(broken(self.judge(record)), error, not record.void)

    def judge(self, record: Record) -> tuple[Finding, ...]:
        """What the chosen promises say of a run."""
        return judge(record, list(self.promises) if self.promises else None)

    def _record(self, plan: Plan) -> Record:
        """Without a fault there is nothing to recover from, so the liveness phase would be for nothing."""
        if plan.faults():
            return run(plan, self.rig, self.zygote)
        try:
            proxy = self.proxies.get_nowait()
        except queue.Empty:
            proxy = None
        record = run(plan, self.rig, self.zygote, liveness=False, proxy=proxy)
        if proxy is not None and not record.void:  # else it may be what is wrong
            self.proxies.put(proxy)
        return record

    @contextmanager
    def with_proxies(self, number: int) -> Iterator[None]:
        """So many proxies for the length of the block."""
        with ExitStack() as stack:
            for _ in range(number):
                self.proxies.put(stack.enter_context(self.rig.proxy(f"orders-{uuid.uuid4().hex[:12]}")))
            yield
            while not self.proxies.empty():
                self.proxies.get()


def broken(findings: Sequence[Finding]) -> tuple[str, ...]:
    """The broken promises, sorted."""
    return tuple(sorted(each.promise for each in findings if each.verdict is Verdict.BROKEN))


def shapes(names: Sequence[str]) -> tuple[Shape, ...]:
    """What the requests do, by name; raises UnknownName."""
    for name in names:
        if name not in SHAPES:
            raise UnknownName(f"there is no request {name!r}", f"known: {', '.join(SHAPES)}")
    return tuple(shape for name in names for shape in SHAPES if shape == name)


def explore(
    stage: Stage,
    store: Store,
    scene: Scene,
    *,
    preemptions: int | None = None,
    tell: Tell = lambda done, of: None,
) -> Explored:
    """Run all orders of a scene's steps; call it from the main thread. A stop, Ctrl-C too, is taken up where it was.

    `preemptions` bounds them, None does not. Raises BadInput for a fault that does not exist or that the rig cannot
    do, StoreUnwritable, or SubjectLost.
    """
    begun = time.monotonic()
    cases = scene.cases(preemptions)
    folder = CheckFolder(store.root, _folder(store, stage.variant, scene, preemptions))
    ledger = Ledger(folder.path / "progress.jsonl", _fingerprint(stage, scene, cases))
    resumed = len(ledger.done)
    _run_all(stage, scene, cases, ledger, tell)
    outcomes = {case: msgspec.convert(ledger.done[case.name], Outcome) for case in cases}
    letters = _letters(outcomes)
    _empty(folder.path / "cases")
    examples = {
        letter: _example(stage, folder, scene, letter, case, outcomes[case])
        for letter, case in _firsts(letters).items()
    }
    table = _table(store, scene, preemptions, outcomes, letters, examples)
    ledger.finish()
    return Explored(table, examples, time.monotonic() - begun, len(cases) - resumed, resumed)


# -- the parts, in the order of their use ---------------------------------------------------------------------------


def _folder(store: Store, variant: Variant, scene: Scene, preemptions: int | None) -> Path:
    words = ["interleavings", *scene.shapes, "all" if preemptions is None else str(preemptions)]
    if scene.fault is not None:
        words.append(scene.fault.kind)
    return store.root / slug(variant.name, keep="._") / slug("-".join(words))


def _fingerprint(stage: Stage, scene: Scene, cases: Sequence[Case]) -> str:
    """Another variant, another version of anything or another scene is another exploration."""
    judges = [promise.id for promise in stage.promises or ()]
    plan = scene.plan(cases[0], stage.variant, stage.bound)
    names = [case.name for case in cases]
    what = (stage.zygote.traits, stage.rig.versions(), judges, scene.programs, scene.fault, plan, names)
    return hashlib.sha256(msgspec.json.encode(what, order="deterministic")).hexdigest()


def _run_all(stage: Stage, scene: Scene, cases: Sequence[Case], ledger: Ledger, tell: Tell) -> None:
    """Run what is not done yet, the simplest first."""
    ended = threading.Event()
    todo = [case for case in cases if case.name not in ledger.done]

    def work(case: Case) -> None:
        if not ended.is_set():
            ledger.add(case.name, stage.run(scene, case))
            tell(len(ledger.done), len(cases))

    threads = WAITERS if scene.waits else WORKERS
    with stage.with_proxies(0 if scene.fault else threads), ThreadPoolExecutor(threads, "interleavings") as pool:
        try:
            finish(pool.submit(work, case) for case in todo)
        except BaseException:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            stage.zygote.close()  # every run in progress then ends at its next step
            raise


def _letters(outcomes: dict[Case, Outcome]) -> dict[Case, str]:
    """The class of each case; letters are given in the order in which the classes turn up, the simplest case first."""
    known: dict[tuple[str, ...], str] = {}
    letters = {}
    for case, outcome in outcomes.items():
        if not outcome.counted:
            letters[case] = VOID
        elif outcome.promises:
            letters[case] = known.setdefault(outcome.promises, _letter(len(known)))
        else:
            letters[case] = "e" if outcome.error else "."
    return letters


def _letter(number: int) -> str:
    return string.ascii_uppercase[number] if number < len(string.ascii_uppercase) else chr(0x3B1 + number - 26)


def _firsts(letters: dict[Case, str]) -> dict[str, Case]:
    """The simplest case of each class, calm ones first, then A, B, C."""
    firsts: dict[str, Case] = {}
    for case, letter in letters.items():
        if letter != VOID:
            firsts.setdefault(letter, case)
    rank = {letter: index for index, letter in enumerate(CALM)}
    return dict(sorted(firsts.items(), key=lambda first: (rank.get(first[0], len(rank)), first[0])))


def _empty(folder: Path) -> None:
    """A folder without what an earlier exploration left in it."""
    with unwritable(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)


def _example(stage: Stage, folder: CheckFolder, scene: Scene, letter: str, case: Case, expected: Outcome) -> Example:
    """Run the simplest case of a class as `lab replay` does until it breaks the same, and store that run."""
    plan = scene.plan(case, stage.variant, stage.bound)
    agreed = runs = 0
    while not agreed and runs < CONFIRM:
        record = run(plan, stage.rig, stage.zygote)
        findings = stage.judge(record)
        runs += 1
        agreed += not record.void and set(expected.promises) <= set(broken(findings))
    agreement = dict.fromkeys(expected.promises, f"{agreed} of {runs} further runs agree")
    name = {".": "kept", "e": "kept error"}.get(letter, letter)
    return Example(case, agreed, runs, folder.keep(f"{name} {case.name}", record, findings, agreement))


def _table(
    store: Store,
    scene: Scene,
    preemptions: int | None,
    outcomes: dict[Case, Outcome],
    letters: dict[Case, str],
    examples: dict[str, Example],
) -> Interleavings:
    counts = Counter(letters.values())
    classes = tuple(
        Class(
            letter=letter,
            count=counts[letter],
            promises=outcomes[example.case].promises,
            evidence=str(example.path.relative_to(store.root)),
        )
        for letter, example in examples.items()
    )
    by_class = {
        letter: tuple(
            Ordered(order="".join(map(str, case.order)), schedule=case.schedule, fault_at=case.fault_at)
            for case in outcomes
            if letters[case] == letter
        )
        for letter in (*examples, *((VOID,) if counts[VOID] else ()))
    }
    return Interleavings(
        requests=scene.shapes,
        fault=scene.fault,
        orders=len({case.order for case in outcomes}),
        all_orders=number_of(scene.lengths),
        preemptions=preemptions,
        cases=len(outcomes),
        void=counts[VOID],
        classes=classes,
        orders_by_class=by_class,
    )


def require_service(stage: Stage, scene: Scene) -> None:
    """Raise LabError when not one statement succeeds without a fault: nothing that follows would mean anything."""
    calm = Scene(scene.shapes)
    plan = calm.plan(calm.cases(0)[0], stage.variant, stage.bound)
    record = run(plan, stage.rig, stage.zygote, liveness=False)
    served = any(op.type == "ok" and op.f in ("read", "write") for op in record.ops)
    if record.void or not served:
        why = record.void or next((op.chain[0].text for op in record.ops if op.chain), "no answer")
        raise LabError(f"{stage.variant.name} serves no request without any fault: {why}", "run `lab check` on it")
