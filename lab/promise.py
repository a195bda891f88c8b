"""What a promise is: the second of the two plug points.

A promise is one file below `lab/promises/` with one class: its sentence, the directed plans that put it at stake at
each of its moments, and a judge, which is a pure function of a run's record and judges any run, random ones too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, TypeVar

from lab.records.plan import Plan, Step
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding, Verdict
from lab.registry import Registry

BLAME = ("isolated-threads", "alias-separate", "fork-safe")
"""Causes before effects; after these the order of the moments decides (docs/promises.md, "Order of blame")."""


class Promise(ABC):
    """A named property that a backend should keep."""

    id: ClassVar[str]
    sentence: ClassVar[str]
    first: ClassVar[bool] = False
    """Whether its plans run before those of the others, because what breaks it explains much of what comes later."""
    of_django: ClassVar[tuple[str, ...]] = ()
    """Moments that are Django's own doing whatever is kept: a limit of every ENGINE that does nothing about it.

    An ENGINE that keeps the promise at its other moments keeps it; a row that claims everything is held to these too.
    """

    def not_applicable(self, variant: Variant, traits: Traits) -> str:
        """Why the configuration says that this promise does not apply; "" when it does."""
        return ""

    def seen_not_to_apply(self, record: Record) -> str:
        """Why a run shows that this promise does not apply, where the configuration leaves that open; "" else."""
        return ""

    @abstractmethod
    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        """The directed plans, at least one for each moment at which the promise is at stake."""

    @abstractmethod
    def judge(self, record: Record) -> Finding:
        """Kept, broken, or unknown when this run did not put the promise at stake."""

    def plan(self, variant: Variant, moment: str, *steps: Step, **fields: Any) -> Plan:
        """A directed plan of this promise."""
        fields.setdefault("title", f"{self.id}: {moment}")
        return Plan(variant=variant, steps=steps, promise=self.id, moment=moment, source="directed", **fields)

    def kept(self, summary: str = "") -> Finding:
        """The run put the promise at stake, and it held."""
        return Finding(promise=self.id, verdict=Verdict.KEPT, summary=summary)

    def unknown(self, summary: str = "") -> Finding:
        """The run did not put the promise at stake."""
        return Finding(promise=self.id, verdict=Verdict.UNKNOWN, summary=summary)

    def none(self, summary: str = "") -> Finding:
        """What the promise speaks of did not come about, and no other run of the plan would bring it."""
        return Finding(promise=self.id, verdict=Verdict.NA, summary=summary)

    def broken(self, summary: str, *steps: int, djangos: bool = False, by_chance: bool = False) -> Finding:
        """The run shows that it does not hold; `steps` are the indices of the steps that show it.

        `djangos`: by Django's own code, whatever ENGINE that calls. `by_chance`: it counts only where every run of the
        plan shows it.
        """
        return Finding(
            promise=self.id,
            verdict=Verdict.BROKEN,
            summary=summary,
            steps=steps,
            djangos=djangos,
            by_chance=by_chance,
        )


PROMISES: Registry[Promise] = Registry("promise", "lab.promises")
P = TypeVar("P", bound=type[Promise])


def promise(cls: P) -> P:
    """Register a promise class under its `id`."""
    PROMISES.add(cls.id, cls())
    return cls
