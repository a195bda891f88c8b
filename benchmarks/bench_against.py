"""What the lab costs against an earlier commit of it: wall time and CPU of all processes, both in turn in one run.

    .venv/bin/python benchmarks/bench_against.py [COMMIT] [--only NAME…] [--rounds 5] [--quick] [--tree DIR] [--json F]

COMMIT gets a work tree and a virtual environment of its own, in a temporary folder, or in `--tree`, which then stays
and is used again. Each round runs one after the other, the order changes from round to round, and every ratio is that
of one round: what the machine does besides meets both. CPU is user and system time of the lab and of everything that it
starts, PostgreSQL, Toxiproxy and subjects included, as the kernel has added it up when the last of them was waited for.

A ratio of 0.5 means that this checkout takes half of what COMMIT takes. Where cases are counted it is that of a case.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
CHILD = HERE / "benchmarks" / "against_child.py"
FIRST = "ae11228"
"""The commit whose costs the targets in docs/benchmarks.md are ratios to."""
VERDICTS = (0, 1, 2)
"""Exit statuses of a check that came to an end."""


@dataclass(frozen=True)
class Sample:
    """One run: seconds, how many cases it ran (0: they are not counted), and what else was seen of it.

    `processes` splits the CPU of the cases by process; `parts` are calls and CPU of the lab by what it did. `first` are
    the seconds from the plans' beginning to the first broken promise, `half` the share of the time until half of them.
    """

    wall: float
    cpu: float
    cases: int = 0
    void: int = 0
    processes: dict[str, float] = field(default_factory=dict)
    parts: dict[str, tuple[int, float]] = field(default_factory=dict)
    first: float | None = None
    half: float | None = None

    def each(self, seconds: float) -> float:
        """Seconds for one case, where cases are counted."""
        return seconds / (self.cases or 1)


Task = Callable[[Path], Sample]


def waited(
    arguments: Sequence[str], tree: Path, environ: dict[str, str]
) -> tuple[Sample, list[tuple[float, str]], str]:
    """Run a program to its end: its cost, the lines of its stderr with the seconds when they came, and its stdout."""
    with tempfile.TemporaryFile("w+") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(arguments, cwd=tree, stdout=output, stderr=subprocess.PIPE, text=True, env=environ)
        assert process.stderr is not None
        lines = [(time.perf_counter() - begun, line.rstrip()) for line in process.stderr]
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if process.returncode not in VERDICTS:
        told = "\n".join(line for _, line in lines[-5:])
        raise SystemExit(f"{' '.join(arguments)} in {tree} ended with {process.returncode}: {told}")
    return Sample(wall, usage.ru_utime + usage.ru_stime), lines, said


def plain(*arguments: str) -> Task:
    """A command that does not judge."""

    def task(tree: Path) -> Sample:
        return waited([str(tree / ".venv/bin/lab"), *arguments], tree, dict(os.environ))[0]

    return task


def judging(*arguments: str) -> Task:
    """A check or a matrix: its cases are counted, and when it said what."""

    def task(tree: Path) -> Sample:
        with tempfile.TemporaryDirectory() as folder:
            verdicts = Path(folder) / "verdicts.json"
            command = [str(tree / ".venv/bin/lab"), *arguments, "--store", folder, "--json", str(verdicts)]
            cost, lines, _ = waited(command, tree, dict(os.environ))
            document = json.loads(verdicts.read_text())
        results: list[dict[str, Any]] = document.get("variants", [document])
        broken = [seconds for seconds, line in lines if " is broken (" in line]
        plans = [seconds for seconds, line in lines if line.endswith(" plans") and ": " in line]
        start = plans[0] if plans else 0.0
        return Sample(
            cost.wall,
            cost.cpu,
            sum(result["cases"] for result in results),
            sum(result["void"] for result in results),
            first=broken[0] - start if broken else None,
            half=broken[len(broken) // 2] / cost.wall if broken else None,
        )

    return task


def cases(kind: str, variant: str, number: int = 0) -> Task:
    """Cases on a rig that is there: what its start costs is not counted."""

    def task(tree: Path) -> Sample:
        command = [str(tree / ".venv/bin/python"), str(CHILD), kind, variant, str(number)]
        _, _, said = waited(command, tree, dict(os.environ))
        found = json.loads(said.splitlines()[-1])
        total = sum(found["cpu"].values())
        parts = found.get("parts", {})
        return Sample(found["wall"], total, found["cases"], found["void"], found["cpu"], parts)

    return task


def tests(tree: Path) -> Sample:
    """The whole test suite."""
    return waited(["make", "test"], tree, dict(os.environ))[0]


TASKS: dict[str, Task] = {
    "help": plain("--help"),
    "list": plain("list", "promises"),
    "simple": cases("simple", "django_persistent", 150),
    "parts": cases("parts", "django_persistent", 150),
    "simple pool": cases("simple", "django_pool", 150),
    "cuts": cases("message", "django_persistent"),
    "bytes": cases("byte", "django_persistent"),
    "check persistent_threadlocal": judging("check", "persistent_threadlocal"),
    "check django_persistent": judging("check", "django_persistent"),
    "matrix": judging("matrix"),
    "test": tests,
}
USUAL = ("help", "list", "simple", "check django_persistent")


@contextmanager
def work_tree(commit: str, folder: Path | None) -> Iterator[Path]:
    """The commit, set up; its own folder is removed at the end."""
    with tempfile.TemporaryDirectory() as temporary:
        tree = folder or Path(temporary) / "tree"
        if not (tree / ".git").exists():
            subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), commit], cwd=HERE, check=True)
        try:
            found, wanted = (
                subprocess.run(
                    ["git", "rev-parse", name], cwd=where, check=True, capture_output=True, text=True
                ).stdout.strip()
                for name, where in (("HEAD", tree), (f"{commit}^{{commit}}", HERE))
            )
            if found != wanted:
                raise SystemExit(f"{tree} holds another commit than {commit}: give another --tree")
            subprocess.run(["make", "setup"], cwd=tree, check=True, stdout=subprocess.DEVNULL)
            yield tree
        finally:
            if folder is None:
                subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=HERE, check=True)


def quartiles(values: Sequence[float], digits: int = 2) -> str:
    """The median with the quartiles, e.g. `0.52 [0.49 0.55]`."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return f"{middle:.{digits}f} [{low:.{digits}f} {high:.{digits}f}]"


def told(name: str, ours: Sequence[Sample], base: Sequence[Sample]) -> list[str]:
    """What one task came to."""
    pairs = list(zip(ours, base, strict=True))
    cpu = quartiles([mine.each(mine.cpu) / other.each(other.cpu) for mine, other in pairs])
    wall = quartiles([mine.wall / other.wall for mine, other in pairs])
    lines = [f"{name}: CPU {cpu} of the commit's, wall {wall}"]
    for label, samples in (("here", ours), ("commit", base)):
        each = "a case" if samples[0].cases else "in all"
        line = f"  {label:6} CPU {quartiles([one.each(one.cpu) * 1e3 for one in samples], 1)} ms {each}"
        line += f", wall {quartiles([one.wall for one in samples])} s"
        if samples[0].cases:
            line += f", cases {', '.join(str(one.cases) for one in samples)}, void {sum(one.void for one in samples)}"
        line += "".join(
            f", {name} {statistics.median(one.each(one.processes[name]) for one in samples) * 1e3:.1f}"
            for name in samples[0].processes
        )
        for part in samples[0].parts:
            calls = statistics.median(one.each(one.parts[part][0]) for one in samples)
            spent = statistics.median(one.each(one.parts[part][1]) for one in samples)
            line += f"\n         {spent * 1e3:5.1f} ms, {calls:4.1f} calls: {part}"
        if all(one.first is not None and one.half is not None for one in samples):
            first = quartiles([one.first or 0.0 for one in samples], 1)
            half = quartiles([one.half or 0.0 for one in samples])
            line += f"; first broken after {first} s, half of what is broken after {half} of the time"
        lines.append(line)
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", nargs="?", default=FIRST, help=f"what to compare with (default: {FIRST})")
    parser.add_argument(
        "--only", nargs="+", choices=list(TASKS), default=list(USUAL), metavar="NAME", help=", ".join(TASKS)
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two rounds")
    parser.add_argument("--tree", type=Path, help="where the commit's work tree is, or shall be and stay")
    parser.add_argument("--json", type=Path, help="write the samples there too")
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    kept: dict[str, Any] = {}
    with work_tree(options.commit, options.tree and options.tree.resolve()) as tree:
        for name in options.only:
            task, ours, base = TASKS[name], list[Sample](), list[Sample]()
            for number in range(rounds):
                turns = [(HERE, ours), (tree, base)]
                for where, samples in turns if number % 2 else reversed(turns):
                    samples.append(task(where))
            print("\n".join(told(name, ours, base)), flush=True)
            kept[name] = {"here": [vars(one) for one in ours], "commit": [vars(one) for one in base]}
    if options.json:
        options.json.write_text(json.dumps(kept, indent=1) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
