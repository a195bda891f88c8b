"""A campaign over versions: each variant in each corner, as "django_pool@5.2/3.11/psycopg", and what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from lab.check.corners import Corner
from lab.explore.engine import Outcome
from lab.records.difference import Difference
from lab.records.variant import Variant
from lab.records.verdict import Verdict

AT = "@"


def inside(variants: Sequence[Variant], corners: Sequence[Corner]) -> list[Variant]:
    """Every variant in every corner. Its interpreter is named as one of any machine: a worker has its own cache."""
    return [
        msgspec.structs.replace(
            variant,
            name=f"{variant.name}{AT}{corner.name}",
            driver=corner.driver or variant.driver,
            python=corner.environment.name,
        )
        for variant in variants
        for corner in corners
    ]


def differing(outcomes: Mapping[str, Mapping[str, Outcome]]) -> list[Difference]:
    """What is broken in one corner and not in another one, of the cases that both have run and that count.

    `outcomes`: of each variant, by the name of a case. The moment of a difference is the name of its case.
    """
    corners: dict[str, dict[str, Mapping[str, Outcome]]] = {}
    for name, found in outcomes.items():
        variant, at, corner = name.rpartition(AT)
        if at:
            corners.setdefault(variant, {})[corner] = found
    differences = []
    for variant, here in corners.items():
        for case in dict.fromkeys(name for found in here.values() for name in found):
            counted = {corner: found[case] for corner, found in here.items() if case in found and found[case].counted}
            for promise in sorted({each for outcome in counted.values() for each in outcome.promises}):
                verdicts = {
                    corner: Verdict.BROKEN if promise in outcome.promises else Verdict.KEPT
                    for corner, outcome in counted.items()
                }
                if len(set(verdicts.values())) > 1:
                    differences.append(Difference(variant, promise, case, verdicts))
    return differences
