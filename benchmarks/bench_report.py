"""What the pages cost: one page, an index, a whole report, the index of 2,000 cases; and how much of a check that is.

    .venv/bin/python benchmarks/bench_report.py [--store DIR] [--json FILE]

Without --store a check of one published backend and a matrix of two variants are made first, which takes a minute. The
figures are CPU milliseconds, the median of several; a page of which the limit is exceeded is marked.
"""

from __future__ import annotations

import argparse
import json
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

from lab.report.pages.folder import FOLDER, report_store
from lab.report.pages.page import case_page, check_page, index_page
from lab.report.pages.shelf import CheckEntry, open_shelf

TIMES = 5
MANY = 2000
LIMITS = {"page ms": 50, "page kB": 200, "index ms": 300, "report ms": 3000, "index of 2000 cases ms": 1000,
          "report per check %": 2}  # fmt: skip


def milliseconds(work: Callable[[], object], times: int = TIMES) -> float:
    """The median CPU time."""
    found = []
    for _ in range(times):
        begun = time.process_time()
        work()
        found.append((time.process_time() - begun) * 1000)
    return statistics.median(found)


def make_store(root: Path) -> tuple[float, float]:
    """A check and a matrix, as a person makes them; the check's seconds, and those of processor time in it."""
    lab = [sys.executable, "-m", "lab.cli"]
    begun, used = time.perf_counter(), _children()
    subprocess.run(
        [*lab, "check", "published_threadlocal", "--store", str(root), "--report", "none"],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    seconds, processor = time.perf_counter() - begun, _children() - used
    subprocess.run(
        [*lab, "matrix", "django_persistent", "published_global", "--store", str(root), "--report", "none"],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return seconds, processor


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
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = processor = 0.0
        root = options.store
        if root is None:
            root = Path(folder) / "store"
            seconds, processor = make_store(root)
        found = measure(root)
        shutil.rmtree(root / FOLDER, ignore_errors=True) if options.store is None else None
    if seconds:
        found["check s"] = seconds
        found["report per check %"] = found["report ms"] / seconds / 10
        found["report per check, processor time %"] = found["report ms"] / processor / 10
    for name, value in found.items():
        limit = LIMITS.get(name)
        print(
            f"{name:36} {value:10.1f}" + (f"   limit {limit}{'' if value <= limit else '  EXCEEDED'}" if limit else "")
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
