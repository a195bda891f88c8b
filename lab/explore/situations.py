"""Every triple: situations in which any three values of different dimensions come together, each as a case.

The dimensions and the plans are those of lab/judging/situations.py, whose pairs every check covers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.explore.engine import VOID, Class, Exploration, Outcome, Table, Target, unserved
from lab.judging.plan_parts import query, several
from lab.judging.situations import DIMENSIONS, actor, covering, lifecycle, steps, words
from lab.records.plan import Plan
from lab.records.variant import Variant
from lab.run import run

STRENGTH = 3
"""Dimensions of which any values come together in some case, unless a rule forbids it: three, so triples."""


@dataclass(frozen=True)
class Covering:
    """One case: a value for each dimension, in their order."""

    values: tuple[str, ...]

    @property
    def name(self) -> str:
        """The values: unique within one exploration."""
        return ", ".join(self.values)

    @property
    def situation(self) -> dict[str, str]:
        """The values by dimension."""
        return dict(zip(DIMENSIONS, self.values, strict=True))


class SituationTable(Table, frozen=True, kw_only=True):
    """The cases of each class, each as its values in the order of `dimensions`. `-` is the class of void cases."""

    dimensions: tuple[str, ...]
    strength: int
    cases: int
    void: int
    classes: tuple[Class, ...]
    situations_by_class: dict[str, tuple[tuple[str, ...], ...]]


@dataclass(frozen=True)
class Situations(Exploration[Covering, SituationTable]):
    """A covering array of `strength` over the dimensions of a situation."""

    strength: int = STRENGTH

    @property
    def name(self) -> str:
        """With its strength."""
        return f"situations-{self.strength}"

    def look(self, target: Target) -> bool:
        """Whether several threads may use the variant; it must serve a request without a fault."""
        plan = Plan(variant=target.variant, steps=query("t0"), title="one request", bound=target.bound)
        record = run(plan, target.rig, target.zygote, liveness=False)
        if record.void or not any(op.type == "ok" and op.f == "read" for op in record.ops):
            raise unserved(target.variant, record)
        return several(target.variant, 3)

    def cases(self, seen: Any) -> list[Covering]:
        """In the order of the array."""
        return [Covering(tuple(situation.values())) for situation in covering(bool(seen), self.strength)]

    def plan(self, case: Covering, variant: Variant, bound: float) -> Plan:
        """The situation, the fault in it, and units of work after the heal."""
        situation = case.situation
        return Plan(
            variant=variant,
            steps=steps(situation),
            title=words(situation),
            source="situations",
            bound=bound,
            lifecycles={actor(situation): lifecycle(situation)},
        )

    @property
    def struck_by_toxics(self) -> bool:
        """There is something to recover from."""
        return True

    def table(
        self, outcomes: Mapping[Covering, Outcome], letters: Mapping[Covering, str], classes: tuple[Class, ...]
    ) -> SituationTable:
        """The situations by class."""
        by_class: dict[str, list[tuple[str, ...]]] = {each.letter: [] for each in classes}
        for case, letter in letters.items():
            by_class.setdefault(letter, []).append(case.values)
        return SituationTable(
            dimensions=tuple(DIMENSIONS),
            strength=self.strength,
            cases=len(outcomes),
            void=len(by_class.get(VOID, ())),
            classes=classes,
            situations_by_class={letter: tuple(cases) for letter, cases in by_class.items()},
        )
