"""What the lab costs, as ratios measured in one run: the rig's start, a case against its bare parts, memory.

    .venv/bin/python benchmarks/bench_case.py [--quick] [--cases 60] [--memory-cases 2000] [--json FILE]

A case is one short plan with one fault. Its bare parts are what no lab could leave out: making the proxy, forking the
subject, its connections and statements (those of the liveness phase too), cutting, ending the process. Both by the
clock, and by the processor time of each process: what looking and judging cost is the difference.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from against_child import split

from lab.check.variants import rows
from lab.judging.judge import judge
from lab.judging.plan_parts import FIN, block, query, request
from lab.records.plan import Plan, Read
from lab.records.record import Record
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

VARIANT = "django_persistent"


def bare(rig: Rig, zygote: Zygote, record: Record) -> None:
    """The parts of one case and nothing around them: the same steps, one after the other, through a proxy."""
    with rig.seat() as seat, rig.proxy("bare") as proxy:
        where = {"HOST": rig.host, "PORT": str(proxy.port), "USER": seat.name, "PASSWORD": seat.password, "NAME": "lab"}
        child = zygote.fork({}, {"default": where})
        for op in record.ops:
            if op.type != "invoke":
                continue
            if op.f == "read" and op.phase == "safety" and op.step == FAULT_AT - 1:
                proxy.cut()
            message: dict[str, Any] = {"id": op.step, "actor": op.actor, "do": op.f, "alias": "default"}
            message |= {"nonce": "n", "token": "t", "plan": "bare", "savepoint": True, "outcome": "commit"}
            message["tells"] = {"begin": "request_started", "end": "request_finished"}.get(op.f, "")
            child.send(message)
            child.receive(10.0)
        child.end()


FAULT_AT = 4
STEPS = (*query("t0"), *request("t0", FIN, Read("t0")), *block("t0"))


def start_seconds(times: int) -> list[float]:
    """Seconds from nothing to a running rig, with a warm cache."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        with Rig():
            found.append(time.perf_counter() - begun)
    return found


@dataclass
class Cost:
    """What each of some runs took, in seconds, and what all of them took of the processor, in seconds by process."""

    seconds: list[float] = field(default_factory=list)
    cpu: Counter[str] = field(default_factory=Counter)

    def run(self, one: Callable[[], object], times: int, rig: Rig, zygote: Zygote) -> None:
        before = split(rig, zygote)
        for _ in range(times):
            begun = time.perf_counter()
            one()
            self.seconds.append(time.perf_counter() - begun)
        after = split(rig, zygote)
        self.cpu.update({name: after[name] - before[name] for name in after})

    def ms(self) -> dict[str, float]:
        """Milliseconds of processor time a run, by process."""
        return {name: spent / len(self.seconds) * 1e3 for name, spent in self.cpu.items()}


def case_against_parts(rig: Rig, zygote: Zygote, cases: int) -> tuple[Cost, Cost]:
    """Whole cases and their bare parts, ten of each in turn, so that both meet the same noise.

    Not one of each: a session of the server's may end, and have its time counted, in the next run.
    """
    plan = Plan(variant=zygote.variant, steps=STEPS)
    record = run(plan, rig, zygote)
    whole, parts = Cost(), Cost()
    for first in range(0, cases, 10):
        times = min(10, cases - first)
        whole.run(lambda: judge(run(plan, rig, zygote)), times, rig, zygote)
        parts.run(lambda: bare(rig, zygote, record), times, rig, zygote)
    return whole, parts


def memory(rig: Rig, zygote: Zygote, cases: int) -> tuple[float, float]:
    """The lab's resident megabytes after a tenth of the cases and after all of them."""
    plan = Plan(variant=zygote.variant, steps=STEPS)
    me = psutil.Process()
    early = 0.0
    for number in range(cases):
        judge(run(plan, rig, zygote))
        if number == cases // 10:
            early = me.memory_info().rss / 1e6
    return early, me.memory_info().rss / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a third of the cases")
    parser.add_argument("--cases", type=int, help="cases timed (default 60; quick: 20)")
    parser.add_argument("--memory-cases", type=int, default=0, help="cases run for the memory figure (default none)")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    cases = options.cases or (20 if options.quick else 60)
    starts = start_seconds(5)
    figures: dict[str, float] = {"rig_start_seconds_median": statistics.median(starts)}
    print(f"rig start, warm cache: median {statistics.median(starts):.2f} s of {len(starts)} (goal: under 1.5)")
    with Rig() as rig:
        zygote = Zygote(rows()[VARIANT], rig.folder, rig.environ())
        whole, parts = case_against_parts(rig, zygote, cases)
        ratio = statistics.median(a / b for a, b in zip(whole.seconds, parts.seconds, strict=True))
        figures |= {
            "case_ms_median": statistics.median(whole.seconds) * 1e3,
            "parts_ms_median": statistics.median(parts.seconds) * 1e3,
            "case_to_parts_ratio_median": ratio,
        }
        print(
            f"a case: median {figures['case_ms_median']:.1f} ms, its bare parts {figures['parts_ms_median']:.1f} ms, "
            f"ratio {ratio:.2f} pair by pair over {cases} pairs (goal: at most 3)"
        )
        of_case, of_parts = whole.ms(), parts.ms()
        figures |= {f"case_cpu_ms_{name}": spent for name, spent in of_case.items()}
        figures |= {f"parts_cpu_ms_{name}": spent for name, spent in of_parts.items()}
        print(
            f"processor time: a case {sum(of_case.values()):.1f} ms, its bare parts {sum(of_parts.values()):.1f} ms ("
            + ", ".join(f"{name} {of_case[name]:.1f} and {of_parts[name]:.1f}" for name in of_case)
            + ")"
        )
        if options.memory_cases:
            early, late = memory(rig, zygote, options.memory_cases)
            figures |= {"rss_mb_early": early, "rss_mb_late": late}
            print(f"memory: {early:.1f} MB after a tenth of {options.memory_cases} cases, {late:.1f} MB after all")
        zygote.close()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
