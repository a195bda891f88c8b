"""Every interleaving: a few requests at the same time, their database steps in every order there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import msgspec

from lab.errors import UnknownName
from lab.explore.engine import VOID, Class, Exploration, Outcome, Table, Target, unserved
from lab.explore.orders import Order, Schedule, follow, number_of, schedules
from lab.fault import build
from lab.records.plan import Begin, Close, End, Enter, FaultSpec, Heal, Inject, Leave, Plan, Read, Step, Write
from lab.records.variant import Variant
from lab.run import run

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
USUAL_PREEMPTIONS = 2
"""Preemptions at most where all orders would be too many: with three requests, or with a fault at every position."""

Unit = tuple[Step, ...]
"""A step of the database, with what surrounds it in a request."""


def shapes(names: Sequence[str]) -> tuple[Shape, ...]:
    """What the requests do, by name; raises UnknownName."""
    for name in names:
        if name not in SHAPES:
            raise UnknownName(f"there is no request {name!r}", f"known: {', '.join(SHAPES)}")
    return tuple(shape for name in names for shape in SHAPES if shape == name)


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
class Interleaving:
    """One case: an order of the requests' steps; the fault comes before the step at position `fault_at`, -1: none."""

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
        """Whether a request may wait until the fault is healed."""
        return self.fault is not None and build(self.fault).waits

    def cases(self, preemptions: int | None) -> list[Interleaving]:
        """All of them, the simplest first; with a fault each order once for every position within a request."""
        orders = [(schedule, follow(self.lengths, schedule)) for schedule in schedules(self.lengths, preemptions)]
        return [
            Interleaving(schedule, order, place)
            for schedule, order in orders
            for place in ((-1,) if self.fault is None else _positions(self.lengths, order))
        ]

    def steps(self, case: Interleaving) -> tuple[Step, ...]:
        """The whole case; a fault that makes a request wait is healed once the step that it struck waits."""
        rest = [iter(units) for units in self.programs]
        steps: list[Step] = []
        for place, actor in enumerate(case.order):
            unit = next(rest[actor])
            steps += self._struck(unit) if place == case.fault_at else unit
        return tuple(steps)

    def _struck(self, unit: Unit) -> Unit:
        assert self.fault is not None
        if not self.waits:
            return (Inject(self.fault), *unit)
        asks = 1 + isinstance(unit[0], Begin)
        return (Inject(self.fault), *unit[:asks], Heal(), *unit[asks:])


def _positions(lengths: Sequence[int], order: Order) -> list[int]:
    """Where some request has begun and not ended: elsewhere there may be no connection for the fault to strike."""
    found = []
    done = [0] * len(lengths)
    for place, actor in enumerate(order):
        if any(0 < count < length for count, length in zip(done, lengths, strict=True)):
            found.append(place)
        done[actor] += 1
    return found


class Ordered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One case in the table: its order in digits, the schedule that means it, and where the fault came."""

    order: str
    schedule: Schedule
    fault_at: int = -1


class InterleavingTable(Table, frozen=True, kw_only=True, omit_defaults=True):
    """The cases of each class. `preemptions` is their bound, None: all orders. `-` is the class of void cases.

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


@dataclass(frozen=True)
class Interleavings(Exploration[Interleaving, InterleavingTable]):
    """All orders of a scene's steps with at most so many `preemptions`, None: without a bound."""

    scene: Scene
    preemptions: int | None = None

    @property
    def name(self) -> str:
        """The requests, the bound, and the fault."""
        words = ["interleavings", *self.scene.shapes, "all" if self.preemptions is None else str(self.preemptions)]
        return "-".join(words if self.scene.fault is None else [*words, self.scene.fault.kind])

    def look(self, target: Target) -> None:
        """A sequential order must succeed without a fault, at least in part."""
        calm = Interleavings(Scene(self.scene.shapes), 0)
        plan = calm.plan(calm.scene.cases(0)[0], target.variant, target.bound)
        record = run(plan, target.rig, target.zygote, liveness=False)
        # Not every step: a variant that breaks at the second request is what an exploration is for.
        if record.void or not any(op.type == "ok" and op.f in ("read", "write") for op in record.ops):
            raise unserved(target.variant, record)

    def cases(self, seen: Any) -> list[Interleaving]:
        """Those of the scene."""
        return self.scene.cases(self.preemptions)

    def plan(self, case: Interleaving, variant: Variant, bound: float) -> Plan:
        """The requests in the order of the case."""
        return Plan(
            variant=variant,
            steps=self.scene.steps(case),
            title=f"interleaving {case.name}",
            source="interleavings",
            bound=bound,
        )

    def identity(self, cases: Sequence[Interleaving], variant: Variant, bound: float) -> Any:
        """The scene and one plan: the names of the cases say the rest, and all plans of 34,650 orders take long."""
        return self.scene.programs, self.scene.fault, self.plan(cases[0], variant, bound)

    def waits(self, case: Interleaving) -> bool:
        """Whether the fault makes requests wait."""
        return self.scene.waits

    @property
    def struck_by_toxics(self) -> bool:
        """With a fault."""
        return self.scene.fault is not None

    def table(
        self,
        outcomes: Mapping[Interleaving, Outcome],
        letters: Mapping[Interleaving, str],
        classes: tuple[Class, ...],
    ) -> InterleavingTable:
        """The orders by class."""
        by_class: dict[str, list[Ordered]] = {each.letter: [] for each in classes}
        for case, letter in letters.items():
            ordered = Ordered(order="".join(map(str, case.order)), schedule=case.schedule, fault_at=case.fault_at)
            by_class.setdefault(letter, []).append(ordered)
        return InterleavingTable(
            requests=self.scene.shapes,
            fault=self.scene.fault,
            orders=len({case.order for case in outcomes}),
            all_orders=number_of(self.scene.lengths),
            preemptions=self.preemptions,
            cases=len(outcomes),
            void=len(by_class.get(VOID, ())),
            classes=classes,
            orders_by_class={letter: tuple(ordered) for letter, ordered in by_class.items()},
        )
