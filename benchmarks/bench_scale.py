"""How a campaign scales: two workers against one, the scheduler's cost, more workers by simulation, memory, the store.

    .venv/bin/python benchmarks/bench_scale.py [--quick] [--cases 400] [--memory-cases 2000] [--json FILE]

Efficiency is the time of one worker by twice the time of two for the same cases, both warm. Beside it stands what two
processes that only compute reach against one on the same cores: the machine's own share of what is lost. Then slices of
measured cases are handed out to 8, 64 and 512 simulated workers by one scheduler at its measured cost.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from lab.campaign.campaign import run_campaign, slice_seconds
from lab.campaign.cluster import Cluster, workers
from lab.campaign.keeping import Settings, open_campaign
from lab.campaign.kinds import Kind
from lab.campaign.progress import Silent
from lab.campaign.slices import Cases, Slice
from lab.campaign.worker import RESOURCE, about_process
from lab.check.variants import rows
from lab.edition import edition

VARIANT = "django_persistent"
SPIN = "sum(number * number for number in range(6_000_000))"
TASKS = 400
SIMULATED = (8, 64, 512)
PER_WORKER = 20
"""Slices for each simulated worker."""
GOAL = 0.9
MARKS = 10


def machine(times: int) -> float:
    """What two processes without the lab reach: the time of one, by that of two at once."""
    one, two = [], []
    for _ in range(times):
        for number, found in ((1, one), (2, two)):
            begun = time.perf_counter()
            children = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(number)]
            for child in children:
                child.wait()
            found.append(time.perf_counter() - begun)
    return statistics.median(one) / statistics.median(two)


def campaign(cluster: Cluster, root: Path, cases: int, kind: Kind, ended: Any = None) -> tuple[float, list[float]]:
    """Seconds from the first slice of cases to the last one's end, and the seconds of each case."""
    settings = Settings(edition=edition(), variants=(rows()[VARIANT],), kinds=(kind,), cases=cases, preemptions=2)
    store = open_campaign(root, settings)
    over: list[float] = []
    each: list[float] = []

    def hear(piece: Slice[Any], result: Any) -> None:
        if isinstance(piece, Cases):
            over.append(time.perf_counter())
            each.extend([result.seconds / len(piece.cases)] * len(piece.cases))
        else:
            begun[0] = begun[0] or time.perf_counter()  # the clean run is over: slices begin
        if ended is not None:
            ended(piece, result)

    begun = [0.0]
    run_campaign(settings, store, cluster, Silent(), ended=hear)
    return over[-1] - begun[0], each


def scheduler_cost(cluster: Cluster) -> float:
    """Seconds for each slice that does nothing, handed out as slices are."""
    begun = time.perf_counter()
    futures = [cluster.client.submit(_nothing, n, pure=False, resources={RESOURCE: 1}) for n in range(TASKS)]
    cluster.client.gather(futures)
    return (time.perf_counter() - begun) / TASKS


def _nothing(number: int) -> int:
    return number


def simulate(number: int, size: int, case_seconds: Sequence[float], cost: float) -> float:
    """The efficiency of so many workers: what they compute, by what they could have computed in that time.

    The scheduler handles one slice after the other, each for `cost` seconds; a worker that has none waits.
    """
    dice = random.Random(size * 1000 + number)
    scheduler = busy = end = 0.0
    free = [0.0] * number
    for _ in range(number * PER_WORKER):
        asked = heapq.heappop(free)
        scheduler = max(scheduler, asked) + cost
        length = sum(dice.choices(case_seconds, k=size))
        busy += length
        heapq.heappush(free, scheduler + length)
        end = max(end, scheduler + length)
    return busy / (number * end)


def smallest(number: int, case_seconds: Sequence[float], cost: float) -> tuple[int, float]:
    """The smallest slice of 1, 2, 4, … cases with which the efficiency is at least GOAL, and that efficiency."""
    size = 1
    while (efficiency := simulate(number, size, case_seconds, cost)) < GOAL and size < 4096:
        size *= 2
    return size, efficiency


def memory(cluster: Cluster, root: Path, cases: int) -> list[tuple[int, float, float]]:
    """Resident megabytes of the lab and of its worker as the cases go by, at each tenth."""
    found: list[tuple[int, float, float]] = []
    done = 0

    def look(piece: Slice[Any], _result: Any) -> None:
        nonlocal done
        if not isinstance(piece, Cases):
            return
        done += len(piece.cases)
        if done >= cases * (len(found) + 1) // MARKS:
            (worker,) = cluster.client.run(about_process).values()
            found.append((done, psutil.Process().memory_info().rss / 1e6, worker[1] / 1e6))
            print(f"memory: after {done} cases {found[-1][1]:.0f} MB in the lab, {found[-1][2]:.0f} MB in the worker")

    number = 0
    while done < cases:  # all the orders are some four thousand cases; the lab and its worker go on
        before = done
        campaign(cluster, root / str(number), cases - done, "orders", look)
        assert done > before, "a campaign of no case"
        number += 1
    return found


def store_size(root: Path) -> tuple[float, int]:
    """Kilobytes of the store, and how many folders of cases it has."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files) / 1e3, len(list(root.glob("*/*/*/cases/*/")))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of the cases")
    parser.add_argument("--cases", type=int, help="cases for each number of workers (default 400; quick: 100)")
    parser.add_argument("--memory-cases", type=int, default=0, help="cases run for memory and store (default none)")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    cases = options.cases or (100 if options.quick else 400)
    say = lambda line: print(f"  {line}")  # noqa: E731
    own = machine(3)
    print(f"two processes without the lab: {own:.2f} of twice one ({os.cpu_count()} processors)")
    figures: dict[str, Any] = {"machine": own}
    seconds, case_seconds, cost = {}, [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number in (1, 2):
            with workers(number, say) as cluster:
                campaign(cluster, Path(folder) / f"warm{number}", 16 * number, "bytes")
                seconds[number], each = campaign(cluster, Path(folder) / str(number), cases, "bytes")
                case_seconds = case_seconds or each
                cost = scheduler_cost(cluster)
            print(f"{number} workers: {cases} cases in {seconds[number]:.1f} s; scheduler {cost * 1e3:.2f} ms a slice")
        efficiency = seconds[1] / (2 * seconds[2])
        print(
            f"2 workers: efficiency {efficiency:.2f}, {efficiency / own:.2f} of what two processes without the lab "
            f"reach (goal: at least {GOAL})"
        )
        figures |= {"seconds": seconds, "efficiency": efficiency, "of_machine": efficiency / own}
        figures["scheduler_ms"] = cost * 1e3
        median = statistics.median(case_seconds)
        print(f"simulated, cases of {median * 1e3:.0f} ms, {PER_WORKER} slices a worker:")
        for number in SIMULATED:
            size, reached = smallest(number, case_seconds, cost)
            length = slice_seconds(number)
            chosen = max(1, round(length / median))
            as_it_is = simulate(number, chosen, case_seconds, cost)
            print(
                f"  {number} workers: slices of {size} cases ({size * median:.1f} s) reach {reached:.2f}; "
                f"as the lab cuts them ({chosen} cases, {length:.0f} s) {as_it_is:.2f}"
            )
            figures[f"simulated_{number}"] = {
                "cases": size,
                "efficiency": reached,
                "seconds": length,
                "as_cut": as_it_is,
            }
        if options.memory_cases:
            with workers(1, say) as cluster:
                root = Path(folder) / "memory"
                marks = memory(cluster, root, options.memory_cases)
            size, folders = store_size(root)
            done = marks[-1][0]
            print(f"store: {size / done * 1e3:.0f} kB for 1,000 cases, {folders} folders of cases for {done} cases")
            figures |= {"memory": marks, "store_kb_per_1000": size / done * 1e3, "folders": folders}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
