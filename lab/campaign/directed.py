"""Every directed plan of every promise, each as a case: what a check runs, for campaigns over versions.

The plans that change a variant's settings are not among them: they need a subject of their own.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from lab.check.cases import gather, lane
from lab.explore.engine import VOID, Class, Exploration, Outcome, Table, Target
from lab.promise import PROMISES
from lab.records.codec import decode_plan, encode
from lab.records.plan import Plan
from lab.records.variant import Variant

NO_VARIANT = Variant(name="")
"""Stands in a plan for the variant that it is run on: a case is data that is stored, and a variant may hold secrets."""


@dataclass(frozen=True)
class Directed:
    """One directed plan, called by its promise and moment; `text` is the plan as JSON, without its variant.

    `promises` are those that asked for it.
    """

    name: str
    promises: tuple[str, ...]
    text: str

    @property
    def plan(self) -> Plan:
        """The plan, without its variant."""
        return _read(self.text)


class DirectedTable(Table, frozen=True, kw_only=True):
    """The plans of each class. `-` is the class of void cases."""

    cases: int
    void: int
    classes: tuple[Class, ...]
    plans_by_class: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class DirectedPlans(Exploration[Directed, DirectedTable]):
    """The directed plans that a rig runs of a variant, as far as they leave its settings alone."""

    @property
    def name(self) -> str:
        """There is one such exploration."""
        return "directed"

    def look(self, target: Target) -> list[tuple[str, tuple[str, ...], str]]:
        """The cases, as data: they depend on what was found of the variant."""
        promises = target.promises or tuple(PROMISES.get(name) for name in PROMISES)
        gathered = gather(target.variant, target.zygote.traits, promises, target.rig.capabilities)
        seen: Counter[str] = Counter()
        found = []
        for case in gathered.cases:
            if case.plan.variant != target.variant:
                continue
            seen[case.title] += 1
            name = case.title if seen[case.title] == 1 else f"{case.title} ({seen[case.title]})"
            text = encode(msgspec.structs.replace(case.plan, variant=NO_VARIANT)).decode()
            found.append((name, case.promises, text))
        return found

    def cases(self, seen: Any) -> list[Directed]:
        """In the order of the promises."""
        return [Directed(str(name), tuple(promises), str(text)) for name, promises, text in seen]

    def plan(self, case: Directed, variant: Variant, bound: float) -> Plan:
        """The plan; its bound is that of the promise where the variant claims no other."""
        return msgspec.structs.replace(case.plan, variant=variant)

    def identity(self, cases: Any, variant: Variant, bound: float) -> Any:
        """The plans, with the variant once."""
        return [variant, [(case.promises, case.text) for case in cases]]

    def waits(self, case: Directed) -> bool:
        """Where a fault makes it wait."""
        return lane(case.plan) == "wide"

    def alone(self, case: Directed) -> bool:
        """Where a fault concerns all plans of a server."""
        return lane(case.plan) == "alone"

    def concerns(self, case: Directed, promise: str) -> bool:
        """The promises that asked for it."""
        return promise in case.promises

    @property
    def struck_by_toxics(self) -> bool:
        """There is something to recover from."""
        return True

    def table(
        self, outcomes: Mapping[Directed, Outcome], letters: Mapping[Directed, str], classes: tuple[Class, ...]
    ) -> DirectedTable:
        """The plans by class."""
        by_class: dict[str, list[str]] = {each.letter: [] for each in classes}
        for case, letter in letters.items():
            by_class.setdefault(letter, []).append(case.name)
        return DirectedTable(
            cases=len(outcomes),
            void=len(by_class.get(VOID, ())),
            classes=classes,
            plans_by_class={letter: tuple(names) for letter, names in by_class.items()},
        )


@functools.lru_cache(maxsize=4096)
def _read(text: str) -> Plan:
    return decode_plan(text.encode(), "a case of the campaign")
