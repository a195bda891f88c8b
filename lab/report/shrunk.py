"""A shrunk plan on a terminal: what became of it, and how to replay it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from lab.explore.shrink import Shrunk
from lab.explore.simplicity import preemptions
from lab.records.plan import Plan
from lab.records.words import count
from lab.report.terminal import short


def print_shrunk(out: Console, shrunk: Shrunk, target: Path) -> None:
    """Print how large the plan was and is, how surely it breaks its promise, and how to run what was written."""
    lines = [
        f"{shrunk.promise} on {shrunk.plan.variant.name}: {_measure(shrunk.before)} -> {_measure(shrunk.plan)}",
        f"{shrunk.agreed} of {shrunk.of} runs agree; {shrunk.runs} runs in {shrunk.seconds:.1f} s"
        + (", the budget is spent: --budget gives it more" if shrunk.spent else ", nothing more can be taken away"),
        f"lab replay {short(str(target))}",
    ]
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)


def _measure(plan: Plan) -> str:
    """How large a plan is, in words."""
    numbers = {
        "step": len(plan.steps),
        "actor": len(plan.actors()),
        "fault": len(plan.faults()),
        "preemption": preemptions(plan.steps),
    }
    return ", ".join(count(number, noun) for noun, number in numbers.items())
