"""Every cut: a clean run of one request is recorded, then the request is cut at every point of it, in every way.

After each cut a second and a third request run on the same actor, and all promises judge the whole.
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
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from lab.errors import LabError, UnknownName
from lab.explore.ledger import Ledger
from lab.explore.points import Every, Point, Window, points
from lab.explore.threads import finish
from lab.judging.judge import judge
from lab.promise import Promise
from lab.records.history import HUNG
from lab.records.plan import Begin, End, Enter, FaultSpec, Heal, Inject, Leave, Plan, Read, Step, Write
from lab.records.record import Record
from lab.records.variant import Variant
from lab.records.verdict import Finding, Verdict
from lab.records.words import TOWARDS, Direction, Way
from lab.rig.protocol import ProxyProtocol, RigProtocol
from lab.run import run
from lab.store import CheckFolder, Store, slug, unwritable
from lab.subject.handle import Zygote

CALM_NAMES = {".": "kept", "e": "kept error", "?": "kept doubt"}
FAULTS: dict[str, str] = {"fin": "cut-fin", "rst": "cut-rst", "stall": "hold"}
"""What the way is called as a fault, where it is called otherwise."""
WAYS: dict[Every, tuple[Way, ...]] = {
    "message": ("fin", "rst", "stall", "half-close", "drop-reply"),
    "byte": ("fin", "rst"),
}
"""The ways that are tried where none is named."""
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)

NARROW = 3
"""Cases at once that compute; those that wait have a lane of WIDE."""
WIDE = 16
AGAIN = 2
"""Times that a case is run whose cut was not seen to land, before it is counted as void."""
CONFIRM = 3
"""Times at most that the example of a class is run again, until a run agrees."""

REQUEST: tuple[Step, ...] = (
    Begin("t0"),
    Read("t0"),
    Enter("t0"),
    Write("t0"),
    Write("t0"),
    Leave("t0"),
    End("t0"),
)
"""What is cut: a query, then an atomic block with two writes."""
SECOND: tuple[Step, ...] = (Begin("t0"), Read("t0"), End("t0"))
THIRD: tuple[Step, ...] = (Begin("t0"), Enter("t0"), Write("t0"), Leave("t0"), End("t0"))
VOID = "-"
CALM = {
    ".": "nothing broken, no error seen",
    "e": "nothing broken, the request got its error",
    "?": "nothing broken, COMMIT in doubt",
}
"""Classes in which no promise is broken; the others are letters from A on."""


@dataclass(frozen=True)
class Cell:
    """One case: where, in which direction, which way."""

    way: Way
    point: Point

    @property
    def name(self) -> str:
        """Unique within one exploration."""
        return f"{self.way} {self.point.direction} {self.point.moment}"

    @property
    def waits(self) -> bool:
        """Whether somebody may wait until it is healed."""
        return self.way not in ("fin", "rst")

    def plan(self, variant: Variant, bound: float) -> Plan:
        """The whole case as a plan; what goes on until it is healed is healed when the struck step waits or is over."""
        params: dict[str, Any] = {"moment": self.point.moment}
        if self.way in ("stall", "split", "delay"):
            params["sides"] = TOWARDS[self.point.direction]
        heal = self.point.step + 1 if self.waits else len(REQUEST)
        steps = (
            Inject(FaultSpec(FAULTS.get(self.way, self.way), params)),
            *REQUEST[:heal],
            Heal(),
            *REQUEST[heal:],
            *SECOND,
            *THIRD,
        )
        return Plan(
            variant=variant,
            steps=steps,
            title=f"{self.way} at {self.point.moment}",
            moment=self.point.moment,
            source="cuts",
            bound=bound,
        )


Saw = Literal["nothing", "error", "doubt"]


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What a case came to: the broken promises, what the cut request saw, and its void runs."""

    promises: tuple[str, ...]
    saw: Saw = "nothing"
    void: int = 0
    counted: bool = True


class Class(msgspec.Struct, frozen=True, kw_only=True):
    """Cases that came to the same: how many, the promises that they break, and the path of one that replays.

    `class` is its letter in the strips; the path is relative to the store's folder.
    """

    letter: str = msgspec.field(name="class")
    count: int
    promises: tuple[str, ...]
    evidence: str


class Cuts(msgspec.Struct, frozen=True, kw_only=True):
    """The table of an exploration: one letter for each point, in the order in which the points passed. `-` is void."""

    points: int
    ways: tuple[str, ...]
    void: int
    classes: tuple[Class, ...]
    strip: dict[Way, dict[Direction, tuple[str, ...]]]

    def encode(self) -> bytes:
        """As JSON; equal explorations give equal bytes."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


@dataclass(frozen=True)
class Example:
    """One case of a class, run once more: `agreed` of `runs` further runs came to the same."""

    cell: Cell
    agreed: int
    runs: int
    path: Path
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Explored:
    """A table with what it was made of, for people. `resumed` of its cases had been run before a stop."""

    cuts: Cuts
    points: tuple[Point, ...]
    examples: dict[str, Example]
    outcomes: dict[Cell, Outcome]
    seconds: float
    cases: int
    resumed: int


Tell = Callable[[int, int], None]
"""Told how many cases of how many are done, from any thread."""


@dataclass(frozen=True)
class Ground:
    """What an exploration runs on. `bound` is B in seconds; `promises` are those that judge, all when None."""

    variant: Variant
    rig: RigProtocol
    zygote: Zygote
    bound: float = 10.0
    promises: tuple[Promise, ...] | None = None
    proxies: queue.SimpleQueue[ProxyProtocol] = field(default_factory=queue.SimpleQueue)
    """Proxies to be used again: no toxic touches them, and a fresh one for each case would cost a fifth of it."""
    at_stake: Counter[str] = field(default_factory=Counter)
    """How many runs put each promise at stake."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, cell: Cell) -> tuple[Outcome, Record, tuple[Finding, ...]]:
        """Run a case until it counts, AGAIN times at most."""
        plan = cell.plan(self.variant, self.bound)
        void = 0
        while True:
            record = self._record(plan)
            findings = judge(record, list(self.promises) if self.promises else None)
            missed = bool(record.void) or _came_early(record, cell)
            void += missed
            if not missed or void == AGAIN:
                break
        with self.lock:
            self.at_stake.update(each.promise for each in findings if each.verdict in (Verdict.KEPT, Verdict.BROKEN))
        broken = tuple(sorted(each.promise for each in findings if each.verdict is Verdict.BROKEN))
        return Outcome(broken, _saw(record), void, not missed), record, findings

    def _record(self, plan: Plan) -> Record:
        try:
            proxy = self.proxies.get_nowait()
        except queue.Empty:
            proxy = None
        record = run(plan, self.rig, self.zygote, liveness=False, lean=True, proxy=proxy)
        if proxy is not None and not record.void:  # else it may be what is wrong
            self.proxies.put(proxy)
        return record

    @contextmanager
    def with_proxies(self, number: int) -> Iterator[None]:
        """So many proxies for the length of the block."""
        with ExitStack() as stack:
            for _ in range(number):
                self.proxies.put(stack.enter_context(self.rig.proxy(f"cuts-{uuid.uuid4().hex[:12]}")))
            yield
            while not self.proxies.empty():
                self.proxies.get()


def explore(
    ground: Ground,
    store: Store,
    *,
    windows: Sequence[Window] = ("request",),
    every: Every = "message",
    ways: Sequence[str] = (),
    tell: Tell = lambda done, of: None,
    folder: CheckFolder | None = None,
) -> Explored:
    """Cut one request everywhere; call it from the main thread. A stop, Ctrl-C too, is taken up where it was.

    `ways` are the usual ones for `every` when empty. The examples are stored in `folder`, or in one of the variant's
    own that is always the same. Raises UnknownName for a way that is none, StoreUnwritable, SubjectLost, or LabError
    when the clean run is not clean.
    """
    begun = time.monotonic()
    chosen = chosen_ways(ways or WAYS[every])
    found = _points(ground, windows, every)
    cells = [Cell(way, point) for way in chosen for point in found]
    place = folder or CheckFolder(store.root, _folder(store, ground.variant, windows, every))
    ledger = Ledger(place.path / "cuts.jsonl", _fingerprint(ground, cells))
    resumed = len(ledger.done)
    _run_all(ground, cells, ledger, tell)
    outcomes = {cell: msgspec.convert(ledger.done[cell.name], Outcome) for cell in cells}
    letters = _letters(outcomes)
    if folder is None:
        _empty(place.path / "cases")
    examples = {
        letter: _example(ground, place, letter, cell, outcomes[cell]) for letter, cell in _firsts(letters).items()
    }
    ledger.finish()
    return Explored(
        cuts=_table(store, found, chosen, outcomes, letters, examples),
        points=found,
        examples=examples,
        outcomes=outcomes,
        seconds=time.monotonic() - begun,
        cases=len(cells) - resumed,
        resumed=resumed,
    )


# -- the parts, in the order of their use ---------------------------------------------------------------------------


def chosen_ways(names: Sequence[str]) -> tuple[Way, ...]:
    """These ways, in the order of the table; raises UnknownName."""
    known = get_args(Way)
    for name in names:
        if name not in known:
            raise UnknownName(f"there is no way {name!r}", f"known: {', '.join(known)}")
    return tuple(way for way in known if way in names)


def _points(ground: Ground, windows: Sequence[Window], every: Every) -> tuple[Point, ...]:
    """Of a clean run; raises LabError when it is not clean, for nothing that follows would mean anything."""
    plan = Plan(
        variant=ground.variant, steps=(*REQUEST, *SECOND, *THIRD), title="clean", source="cuts", bound=ground.bound
    )
    record = run(plan, ground.rig, ground.zygote, liveness=False, wire=True)
    if record.void or any(op.type in ("fail", "info") for op in record.ops):
        why = record.void or next(op.chain[0].text for op in record.ops if op.type in ("fail", "info"))
        raise LabError(
            f"{ground.variant.name} does not serve a request without any fault: {why}", "run `lab check` on it"
        )
    found = [point for window in windows for point in points(record, window, every, len(REQUEST) - 1)]
    return tuple(dict.fromkeys(found))


def _folder(store: Store, variant: Variant, windows: Sequence[Window], every: Every) -> Path:
    return store.root / slug(variant.name, keep="._") / slug(f"cuts-{'-'.join(windows)}-{every}")


def _fingerprint(ground: Ground, cells: Sequence[Cell]) -> str:
    """Another variant, another version of anything or another point is another exploration."""
    plans = [cell.plan(ground.variant, ground.bound) for cell in cells]
    judges = [promise.id for promise in ground.promises or ()]
    data = msgspec.json.encode((ground.zygote.traits, ground.rig.versions(), judges, plans), order="deterministic")
    return hashlib.sha256(data).hexdigest()


def _run_all(ground: Ground, cells: Sequence[Cell], ledger: Ledger, tell: Tell) -> None:
    """Run what is not done yet: what computes on few threads, what waits on many."""
    ended = threading.Event()
    todo = [cell for cell in cells if cell.name not in ledger.done]

    def work(cell: Cell) -> None:
        if not ended.is_set():
            outcome, _, _ = ground.run(cell)
            ledger.add(cell.name, outcome)
            tell(len(ledger.done), len(cells))

    with (
        ground.with_proxies(NARROW + WIDE),
        ThreadPoolExecutor(NARROW, "cuts") as narrow,
        ThreadPoolExecutor(WIDE, "held cuts") as wide,
    ):
        try:
            finish((wide if cell.waits else narrow).submit(work, cell) for cell in todo)
        except BaseException:
            ended.set()
            for pool in (narrow, wide):
                pool.shutdown(wait=False, cancel_futures=True)
            ground.zygote.close()  # every run in progress then ends at its next step
            raise


def _came_early(record: Record, cell: Cell) -> bool:
    """Whether the moment came in an earlier step than in the clean run, so that nobody healed what made it wait.

    A pool whose sessions are made in the background has no fixed order of moments.
    """
    return cell.waits and any(op.chain[:1] == (HUNG,) and op.step <= cell.point.step for op in record.ops)


def _saw(record: Record) -> Saw:
    """What the request that was cut saw of it: its first error decides, unless COMMIT was left in doubt."""
    ended = [op for op in record.ops if op.step <= len(REQUEST) + 1 and op.chain]
    if any(op.type == "info" and op.f == "leave" for op in ended):
        return "doubt"
    return "error" if ended else "nothing"


def _letters(outcomes: dict[Cell, Outcome]) -> dict[Cell, str]:
    """The class of each case; the letters of broken ones are given in the order in which they turn up in the table."""
    known: dict[tuple[str, ...], str] = {}
    letters = {}
    for cell, outcome in outcomes.items():
        if not outcome.counted:
            letters[cell] = VOID
        elif outcome.promises:
            letters[cell] = known.setdefault(outcome.promises, _letter(len(known)))
        else:
            letters[cell] = {"nothing": ".", "error": "e", "doubt": "?"}[outcome.saw]
    return letters


def _letter(number: int) -> str:
    return string.ascii_uppercase[number] if number < len(string.ascii_uppercase) else chr(0x3B1 + number - 26)


def _firsts(letters: dict[Cell, str]) -> dict[str, Cell]:
    """The first case of each class, calm ones first, then A, B, C."""
    firsts: dict[str, Cell] = {}
    for cell, letter in letters.items():
        if letter != VOID:
            firsts.setdefault(letter, cell)
    order = {letter: index for index, letter in enumerate(CALM)}
    return dict(sorted(firsts.items(), key=lambda first: (order.get(first[0], len(order)), first[0])))


def _empty(folder: Path) -> None:
    """A folder without what an earlier exploration left in it."""
    with unwritable(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)


def _example(ground: Ground, folder: CheckFolder, letter: str, cell: Cell, expected: Outcome) -> Example:
    """Run the first case of a class again, now as a replay will, until it breaks the same, and store that run."""
    agreed = runs = 0
    while not agreed and runs < CONFIRM:
        record = run(cell.plan(ground.variant, ground.bound), ground.rig, ground.zygote)
        findings = judge(record, list(ground.promises) if ground.promises else None)
        broken = {each.promise for each in findings if each.verdict is Verdict.BROKEN}
        runs += 1
        agreed += not record.void and broken.issuperset(expected.promises) and _saw(record) == expected.saw
    agreement = dict.fromkeys(expected.promises, f"{agreed} of {runs} further runs agree")
    name = f"cut {CALM_NAMES.get(letter, letter)} {cell.way} {cell.point.moment}"
    return Example(cell, agreed, runs, folder.keep(name, record, findings, agreement), findings)


def _table(
    store: Store,
    found: Sequence[Point],
    ways: Sequence[Way],
    outcomes: dict[Cell, Outcome],
    letters: dict[Cell, str],
    examples: dict[str, Example],
) -> Cuts:
    counts = Counter(letters.values())
    strip = {
        way: {
            direction: tuple(letters[Cell(way, point)] for point in found if point.direction == direction)
            for direction in DIRECTIONS
        }
        for way in ways
    }
    classes = tuple(
        Class(
            letter=letter,
            count=counts[letter],
            promises=outcomes[example.cell].promises,
            evidence=str(example.path.relative_to(store.root)),
        )
        for letter, example in examples.items()
    )
    return Cuts(points=len(found), ways=tuple(ways), void=counts[VOID], classes=classes, strip=strip)
