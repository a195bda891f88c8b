"""Every cut: a clean run of one request is recorded, then the request is cut at every point of it, in every way.

After each cut a second and a third request run on the same actor, and all promises judge the whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import msgspec

from lab.errors import UnknownName
from lab.explore.engine import NOT_RUN, VOID, Class, Exploration, Explored, Outcome, Saw, Table, Target, unserved
from lab.explore.points import Every, Point, Window, points
from lab.records.history import HUNG
from lab.records.plan import NEWS, Begin, End, Enter, FaultSpec, Heal, Inject, Leave, Plan, Read, Sql, Step, Use, Write
from lab.records.record import Record
from lab.records.variant import Variant
from lab.records.words import TOWARDS, Direction, Way
from lab.run import run

FAULTS: dict[Way, str] = {"fin": "cut-fin", "rst": "cut-rst", "stall": "hold"}
"""The fault that cuts in this way, where it is not called like the way."""
WAYS: dict[Every, tuple[Way, ...]] = {
    "message": ("fin", "rst", "stall", "half-close", "drop-reply"),
    "byte": ("fin", "rst"),
}
"""The ways that are tried where none is named."""
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)

ROWS = 250
"""So few that a case is cheap, and of three chunks of a server-side cursor."""
RequestName = Literal["plain", "results"]
REQUESTS: dict[RequestName, tuple[Step, ...]] = {
    "plain": (
        Begin("t0"),
        Read("t0"),
        Enter("t0"),
        Write("t0"),
        Write("t0"),
        Leave("t0"),
        End("t0"),
    ),
    "results": (
        Begin("t0"),
        Use("t0", "read-many", rows=ROWS),
        Use("t0", "iterator", rows=ROWS),
        Use("t0", "stream", rows=ROWS),
        Use("t0", "copy-out", rows=ROWS),
        Use("t0", "copy-in"),
        Use("t0", "rows", rows=ROWS),
        Use("t0", "rest-of-rows", rows=ROWS),
        Enter("t0"),
        Use("t0", "on-commit"),
        Write("t0"),
        Use("t0", "savepoints"),
        Use("t0", "for-update"),
        Use("t0", "durable-inside"),
        Leave("t0"),
        Use("t0", "listen"),
        Sql("t0", NEWS),
        Use("t0", "heard"),
        End("t0"),
    ),
}
"""What is cut: a query, then an atomic block with two writes; or one of each thing whose result can be cut."""
MEANING: dict[RequestName, str] = {
    "plain": "a query, and a block with two writes",
    "results": "many rows in five ways, COPY in, a block with a hook and savepoints, a notification",
}
SECOND: tuple[Step, ...] = (Begin("t0"), Read("t0"), End("t0"))
THIRD: tuple[Step, ...] = (Begin("t0"), Enter("t0"), Write("t0"), Leave("t0"), End("t0"))


def _served(request: tuple[Step, ...], *, atomic: bool) -> tuple[Step, ...]:
    """A request as its handler serves it: under ATOMIC_REQUESTS the view is in a block of its own.

    There a notification that the view sends itself comes when it is over, so that nothing waits for one.
    """
    if not atomic:
        return request
    view = [step for step in request[1:-1] if not (isinstance(step, Use) and step.how == "heard")]
    return (request[0], Enter("t0"), *view, Leave("t0"), request[-1])


@dataclass(frozen=True)
class Cut:
    """One case: the way, and the point at which the request is cut; `atomic`: it is served under ATOMIC_REQUESTS."""

    way: Way
    point: Point
    atomic: bool = False
    request: RequestName = "plain"

    @property
    def name(self) -> str:
        """Unique within one exploration."""
        return f"{self.way} {self.point.direction} {self.point.moment}"

    @property
    def waits(self) -> bool:
        """Whether the request may wait until the fault is healed; FIN and RST end the connection at once."""
        return self.way not in ("fin", "rst")

    @property
    def steps(self) -> tuple[Step, ...]:
        """The whole case; a fault that lasts is healed when the step that it struck waits or is over."""
        params: dict[str, Any] = {"moment": self.point.moment}
        if self.way in ("stall", "split", "delay"):
            params["sides"] = TOWARDS[self.point.direction]
        request = _served(REQUESTS[self.request], atomic=self.atomic)
        heal = self.point.step + 1 if self.waits else len(request)
        return (
            Inject(FaultSpec(FAULTS.get(self.way, self.way), params)),
            *request[:heal],
            Heal(),
            *request[heal:],
            *_served(SECOND, atomic=self.atomic),
            *_served(THIRD, atomic=self.atomic),
        )


class CutTable(Table, frozen=True, kw_only=True):
    """One letter for each point, in the order in which the points passed; `void` cases have the letter `-`."""

    points: int
    ways: tuple[str, ...]
    void: int
    classes: tuple[Class, ...]
    strip: dict[Way, dict[Direction, tuple[str, ...]]]


@dataclass(frozen=True)
class _Seen:
    """What the cases of an exploration of cuts depend on."""

    points: tuple[Point, ...]
    atomic: bool


@dataclass(frozen=True)
class Cuts(Exploration[Cut, CutTable]):
    """All cuts within these windows, before every message or every byte; no `ways`: the usual ones for `every`."""

    windows: tuple[Window, ...] = ("request",)
    every: Every = "message"
    ways: tuple[Way, ...] = ()
    request: RequestName = "plain"

    ledger = "cuts.jsonl"
    lean = True

    @property
    def chosen(self) -> tuple[Way, ...]:
        """The ways that are tried."""
        return self.ways or WAYS[self.every]

    @property
    def name(self) -> str:
        """The windows and the width of a step; the same folder serves all ways."""
        of = () if self.request == "plain" else (self.request,)
        return "-".join(("cuts", *of, *self.windows, self.every))

    def look(self, target: Target) -> Any:
        """The points of a clean run, and whether requests are served under ATOMIC_REQUESTS."""
        record = self._clean_run(target)
        atomic = target.zygote.traits.atomic_requests
        last = len(_served(REQUESTS[self.request], atomic=atomic)) - 1
        found = [point for window in self.windows for point in points(record, window, self.every, last)]
        return msgspec.to_builtins(_Seen(tuple(dict.fromkeys(found)), atomic))  # windows overlap

    def cases(self, seen: Any) -> list[Cut]:
        """Each way at each point."""
        found = msgspec.convert(seen, _Seen)
        return [Cut(way, point, found.atomic, self.request) for way in self.chosen for point in found.points]

    def plan(self, case: Cut, variant: Variant, bound: float) -> Plan:
        """The cut request, then the two that meet what it left behind."""
        return Plan(
            variant=variant,
            steps=case.steps,
            title=f"{case.way} at {case.point.moment}",
            moment=case.point.moment,
            source="cuts",
            bound=bound,
        )

    def saw(self, record: Record) -> Saw:
        """What the cut request saw: its first error decides, unless COMMIT was left in doubt."""
        last = len(_served(REQUESTS[self.request], atomic=record.traits.atomic_requests)) + 1  # with fault and heal
        ended = [op for op in record.ops if op.step <= last and op.chain]
        if any(op.type == "info" and op.f == "leave" for op in ended):
            return "doubt"
        return "error" if ended else "nothing"

    def waits(self, case: Cut) -> bool:
        """Whether the request waits for the heal."""
        return case.waits

    def missed(self, case: Cut, record: Record) -> bool:
        """Whether the cut did not land, or in an earlier step than in the clean run, where no heal followed it.

        A pool whose sessions are made in the background has no fixed order of moments.
        """
        early = case.waits and any(op.chain[:1] == (HUNG,) and op.step <= case.point.step for op in record.ops)
        return super().missed(case, record) or early

    def agrees(self, expected: Outcome, again: Outcome) -> bool:
        """Whether the cut request saw the same, too: only its own steps count, however long the run is watched."""
        return super().agrees(expected, again) and again.saw == expected.saw

    def example_name(self, word: str, case: Cut) -> str:
        """The moment tells the direction already."""
        return f"cut {word} {case.way} {case.point.moment}"

    def table(
        self, outcomes: Mapping[Cut, Outcome], letters: Mapping[Cut, str], classes: tuple[Class, ...]
    ) -> CutTable:
        """The letters by way and direction."""
        found, atomic = points_of(outcomes), any(cut.atomic for cut in outcomes)
        strip = {
            way: {
                direction: tuple(
                    letters.get(Cut(way, point, atomic, self.request), NOT_RUN)
                    for point in found
                    if point.direction == direction
                )
                for direction in DIRECTIONS
            }
            for way in self.chosen
        }
        void = sum(letter == VOID for letter in letters.values())
        return CutTable(points=len(found), ways=self.chosen, void=void, classes=classes, strip=strip)

    def _clean_run(self, target: Target) -> Record:
        """The three requests with the tap and without a fault; raises LabError when a step of them fails."""
        atomic = target.zygote.traits.atomic_requests
        steps = tuple(step for each in (REQUESTS[self.request], SECOND, THIRD) for step in _served(each, atomic=atomic))
        plan = Plan(variant=target.variant, steps=steps, title="clean", source="cuts", bound=target.bound)
        record = run(plan, target.rig, target.zygote, liveness=False, wire=True)
        if record.void or any(op.type in ("fail", "info") for op in record.ops):
            raise unserved(target.variant, record)
        return record


def chosen_ways(names: Collection[str]) -> tuple[Way, ...]:
    """The ways with these names, in the order of the table; raises UnknownName."""
    known = get_args(Way)
    for name in names:
        if name not in known:
            raise UnknownName(f"there is no way {name!r}", f"known: {', '.join(known)}")
    return tuple(way for way in known if way in names)


def points_of(cuts: Iterable[Cut]) -> tuple[Point, ...]:
    """The points at which these cuts are, each once, in the order in which they passed."""
    return tuple(dict.fromkeys(cut.point for cut in cuts))


def where(explored: Explored[Cut, CutTable]) -> dict[str, Any]:
    """What a page needs beside the table: where each column of a strip cuts, and how long it took, in seconds."""
    points = [
        {"direction": each.direction, "name": each.name, "byte": each.byte} for each in points_of(explored.outcomes)
    ]
    return {"points": points, "seconds": explored.seconds}
