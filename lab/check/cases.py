"""The cases of one variant: the plans that its promises ask for, plans that do the same only once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from lab.check.fit import fitted, why_none
from lab.fault import FAULTS, needs
from lab.promise import Promise
from lab.records.plan import Plan, Use
from lab.records.variant import Traits, Variant

Lane = Literal["alone", "wide", "narrow"]
FEW_SLOW = 4
"""Statements of 0.7 s: a plan with more of them mostly waits."""


@dataclass(frozen=True)
class Case:
    """A plan to be run; `made_for` lists the promises and moments that asked for it."""

    number: int
    plan: Plan
    made_for: tuple[tuple[str, str], ...]

    def moment(self, promise: str) -> str:
        """Its moment of that promise; of the first that it was made for, when it was not made for that one."""
        return dict(self.made_for).get(promise, self.made_for[0][1])

    @property
    def promises(self) -> tuple[str, ...]:
        """The promises that asked for it."""
        return tuple(dict.fromkeys(promise for promise, _ in self.made_for))

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"{self.number:04d}-{self.title}"

    @property
    def title(self) -> str:
        """Its first promise and moment, and its own title where it has one."""
        promise, moment = self.made_for[0]
        own = self.plan.title
        return f"{promise}: {moment}" + (f", {own}" if own and own != f"{promise}: {moment}" else "")


@dataclass(frozen=True)
class Gathered:
    """The cases of one variant, why some promises do not apply to it, and what this rig lacks for how many plans."""

    cases: tuple[Case, ...]
    not_applicable: dict[str, str] = field(default_factory=dict)
    beyond: Mapping[str, int] = field(default_factory=dict)

    @property
    def variants(self) -> list[Variant]:
        """The variants of all cases: a plan may change some of its variant's settings."""
        found: list[Variant] = []
        for case in self.cases:
            if case.plan.variant not in found:
                found.append(case.plan.variant)
        return found


def gather(
    variant: Variant,
    traits: Traits,
    promises: Sequence[Promise],
    capabilities: frozenset[str],
    *,
    seed: int = 0,
    bound: float | None = None,
    brief: bool = False,
) -> Gathered:
    """The directed plans of all promises that apply, in their order, as far as a rig of these capabilities runs them.

    `brief`: of the plans for one moment of a promise only the first, and those that run for another promise anyway.
    The bound of a plan is `bound` seconds, else what the variant claims, else what the plan says (10).
    """
    not_applicable: dict[str, str] = {}
    beyond: Counter[str] = Counter()
    plans: dict[bytes, Plan] = {}
    made_for: dict[bytes, list[tuple[str, str]]] = {}
    for promise in sorted(promises, key=lambda each: not each.first):
        if reason := promise.not_applicable(variant, traits):
            not_applicable[promise.id] = reason
            continue
        moments: set[str] = set()
        left_out = 0
        for written in promise.plans(variant, traits):
            if lacking := needs(written) - capabilities:
                beyond[min(lacking)] += 1
                continue
            if (plan := fitted(promise.id, written, traits)) is None:
                left_out += 1
                continue
            limit = bound or variant.bound or plan.bound
            adjusted = msgspec.structs.replace(plan, seed=seed, bound=limit)
            alike = (
                adjusted.variant,
                adjusted.steps,
                adjusted.bound,
                adjusted.init,
                sorted(adjusted.lifecycles.items()),
            )
            key = msgspec.json.encode(alike)
            if brief and plan.moment in moments and key not in plans:
                continue
            moments.add(plan.moment)
            plans.setdefault(key, adjusted)
            made_for.setdefault(key, []).append((promise.id, plan.moment))
        if left_out and not moments:
            not_applicable[promise.id] = why_none(traits)
    cases = (
        Case(number, plan, tuple(dict.fromkeys(made_for[key]))) for number, (key, plan) in enumerate(plans.items(), 1)
    )
    return Gathered(tuple(cases), not_applicable, beyond)


def lane(plan: Plan) -> Lane:
    """The lane of a plan: alone where a fault concerns all plans, wide where it mostly waits, else narrow.

    Waited for is the end of a fault, of sessions whose process was killed, of statements that are slow on purpose, and,
    with autocommit off, of transactions that stock Django leaves open: each look at the sessions gives them half a
    second.
    """
    faults = [FAULTS.get(spec.kind) for spec in plan.faults()]
    if any(fault.exclusive for fault in faults) or plan.makes_databases():
        return "alone"
    left_open = plan.variant.settings.get("AUTOCOMMIT") is False
    slow = sum(isinstance(step, Use) and step.how == "slow" for step in plan.steps)
    rests = left_open or slow > FEW_SLOW or any(fault.waits or fault.fatal for fault in faults)
    return "wide" if rests else "narrow"
