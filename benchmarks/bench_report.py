"""What the pages cost: one page, an index, a whole report, the index of 2,000 cases; and how much of a check that is.

    .venv/bin/python benchmarks/bench_report.py [--store DIR] [--variant NAME] [--rounds 3] [--json FILE]

Without --store a variant is checked with its report and without, both in turn and in another order each round; the last
store is drawn then. The ratios are those of whole commands, by the clock and by the processor time of the lab and of
all that it starts; that of what only one of the two does, the drawing, is printed beside them, because a check's own
duration differs by more from run to run. The other figures are CPU milliseconds, the median of several. A figure whose
limit is exceeded is marked.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lab.report.pages.folder import report_store
from lab.report.pages.page import case_page, check_page, index_page
from lab.report.pages.shelf import CheckEntry, open_shelf

LAB = [sys.executable, "-m", "lab.cli"]
TIMES = 5
MANY = 2000
LIMITS = {"page ms": 50, "page kB": 200, "index ms": 300, "report ms": 3000, "index of 2000 cases ms": 1000,
          "check page of 2000 cases ms": 1000, "with report / without, wall": 1.02,
          "drawing / check without, wall": 0.02}  # fmt: skip


def milliseconds(work: Callable[[], object], times: int = TIMES) -> float:
    """The median CPU time."""
    found = []
    for _ in range(times):
        begun = time.process_time()
        work()
        found.append((time.process_time() - begun) * 1000)
    return statistics.median(found)


def in_turn(variant: str, rounds: int, folder: Path) -> tuple[Path, dict[str, float]]:
    """Whole checks with their report and without, in turn: the last store, and the medians of the rounds' ratios."""
    walls: dict[str, list[float]] = {"html": [], "none": []}
    cpus: dict[str, list[float]] = {"html": [], "none": []}
    for number in range(rounds):
        for kind in ("html", "none") if number % 2 else ("none", "html"):
            root = folder / f"{kind}{number}"
            begun, used = time.perf_counter(), _children()
            subprocess.run(
                [*LAB, "check", variant, "--store", str(root), "--report", kind, "-q"],
                stdout=subprocess.DEVNULL,
                check=False,
            )
            walls[kind].append(time.perf_counter() - begun)
            cpus[kind].append(_children() - used)
            print(f"round {number + 1} of {rounds}, {kind}: {walls[kind][-1]:.1f} s, {cpus[kind][-1]:.1f} s of CPU")
    last = folder / f"html{rounds - 1}"
    return last, {
        "check with report s": statistics.median(walls["html"]),
        "check without s": statistics.median(walls["none"]),
        "with report / without, wall": statistics.median(map(operator.truediv, walls["html"], walls["none"])),
        "with report / without, CPU": statistics.median(map(operator.truediv, cpus["html"], cpus["none"])),
        "check without, s of CPU": statistics.median(cpus["none"]),
    }


def _children() -> float:
    """Seconds of processor time that children have used which have ended: the lab, its subjects, its servers."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def many_cases(check: CheckEntry, folder: Path) -> Path:
    """The same store with one check of MANY cases."""
    copy = folder / "many"
    target = copy / "many" / check.folder.name
    (target / "cases").mkdir(parents=True)
    shutil.copy(check.folder / "verdicts.json", target)
    for number in range(MANY):
        case = check.cases[number % len(check.cases)].folder
        new = target / "cases" / f"{number:04d}-{case.name}"
        new.mkdir()
        for file in case.iterdir():
            if file.is_file():
                os.link(file, new / file.name) if os.stat(file).st_dev == os.stat(new).st_dev else shutil.copy(
                    file, new
                )
    return copy


def measure(root: Path) -> dict[str, float]:
    """All figures."""
    shelf = open_shelf(root)
    check = max(shelf.checks, key=lambda each: len(each.cases))
    sizes, times = [], []
    for case in check.cases:
        if case.damage:
            continue
        case_page(case, check)
        times.append(milliseconds(lambda case=case: case_page(case, check), 3))  # type: ignore[misc]
        sizes.append(len(case_page(case, check).encode()) / 1000)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        many = many_cases(check, place)
        copies = iter(place / f"out{number}" for number in range(TIMES))
        return {
            "cases": len(check.cases),
            "page ms": statistics.median(times),
            "page ms max": max(times),
            "page kB": max(sizes),
            "index ms": milliseconds(lambda: index_page(open_shelf(root))),
            "report ms": milliseconds(lambda: report_store(root, next(copies))),
            f"check page of {MANY} cases ms": milliseconds(lambda: check_page(open_shelf(many).checks[0]), 3),
            f"index of {MANY} cases ms": milliseconds(lambda: index_page(open_shelf(many)), 3),
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="a store that is there already")
    parser.add_argument("--variant", default="published_threadlocal", help="without --store: what is checked")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, found = options.store, {}
        if root is None:
            root, found = in_turn(options.variant, 1 if options.quick else options.rounds, Path(folder))
        found |= measure(root)
    if "check without s" in found:
        found["drawing / check without, wall"] = found["report ms"] / found["check without s"] / 1000
        found["drawing / check without, CPU"] = found["report ms"] / found["check without, s of CPU"] / 1000
    for name, value in found.items():
        limit = LIMITS.get(name)
        bound = f"   limit {limit}{'' if value <= limit else '  EXCEEDED'}" if limit else ""
        print(f"{name:36} {value:10.3g}{bound}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
