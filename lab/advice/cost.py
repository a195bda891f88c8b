"""What a request costs under two sets of settings, measured in turns on one rig."""

from __future__ import annotations

import statistics

from lab.judging.plan_parts import query
from lab.records.advice import Cost
from lab.records.plan import Plan
from lab.records.record import Record
from lab.records.variant import Variant
from lab.rig.protocol import RigProtocol
from lab.run import run
from lab.subject.handle import Zygote

ROUNDS = 5
REQUESTS = 15
FIRST = 2
"""Requests at the beginning of each round that are left out: a connection is made there that is kept."""


def cost(before: tuple[Variant, Zygote], after: tuple[Variant, Zygote], rig: RigProtocol) -> Cost:
    """Milliseconds of a request of one query without any fault. Both run through the lab, so the difference counts."""
    rounds: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        taken = [0.0, 0.0]
        for which in (0, 1) if number % 2 else (1, 0):
            variant, zygote = (before, after)[which]
            plan = Plan(variant=variant, steps=query("t0") * (REQUESTS + FIRST), title="cost", source="probe")
            requests = _requests(run(plan, rig, zygote, liveness=False))[FIRST:]
            taken[which] = statistics.median(requests or [0.0])
        rounds.append((taken[0], taken[1]))
    differences = [then - now for now, then in rounds]
    return Cost(
        before=round(statistics.median(now for now, _ in rounds), 2),
        after=round(statistics.median(then for _, then in rounds), 2),
        least=round(min(differences), 2),
        most=round(max(differences), 2),
        requests=ROUNDS * REQUESTS,
    )


def _requests(record: Record) -> list[float]:
    """Milliseconds that the calls of each request took."""
    found: dict[int, float] = {}
    begun: dict[int, int] = {}
    for op in record.ops:
        if op.type == "invoke":
            begun[op.step] = op.time
        elif op.step in begun:
            found[op.request] = found.get(op.request, 0.0) + (op.time - begun[op.step]) / 1e6
    return [taken for request, taken in sorted(found.items()) if request >= 0]
