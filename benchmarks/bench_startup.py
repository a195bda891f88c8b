"""What the command line costs before it does anything: processor time and wall time, against a bare interpreter.

    .venv/bin/python benchmarks/bench_startup.py [--against CHECKOUT] [--rounds 15] [--quick] [--json FILE]

With `--against`, the same commands of another checkout run in turn with these, under the same interpreter and
libraries, so that both meet the same noise: a ratio of 0.4 means that this checkout takes 40 % of the other one's time.
For a checkout of an earlier commit: `git worktree add --detach FOLDER COMMIT`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent.parent
COMMANDS = (
    ("--help",),
    ("list", "promises"),
    ("list", "faults"),
    ("list", "variants"),
    ("list", "moments"),
    ("check", "--help"),
)


class Cost(NamedTuple):
    """Of one process, in seconds: user and system time together, and from its start to its end."""

    processor: float
    wall: float


def cost(arguments: tuple[str, ...], checkout: Path) -> Cost:
    """Run this interpreter once with these arguments, in that checkout."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], cwd=checkout, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} in {checkout} ended with {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, wall)


def measured(command: tuple[str, ...], checkout: Path, against: Path | None, rounds: int) -> dict[str, float]:
    """The medians of one command, in milliseconds, and the medians of its ratios, round by round."""
    ours, base, bare = [], [], []
    for number in range(rounds + 1):  # the first one writes the byte code, and does not count
        mine = cost(("-m", "lab.cli", *command), checkout)
        other = cost(("-m", "lab.cli", *command), against) if against else None
        python = cost(("-c", "pass"), checkout)
        if number:
            ours.append(mine)
            bare.append(python)
            base += [other] if other else []
    found = {
        "processor_ms": statistics.median(each.processor for each in ours) * 1e3,
        "wall_ms": statistics.median(each.wall for each in ours) * 1e3,
        "bare_processor_ms": statistics.median(each.processor for each in bare) * 1e3,
    }
    if base:
        pairs = list(zip(ours, base, strict=True))
        found["processor_ratio"] = statistics.median(mine.processor / other.processor for mine, other in pairs)
        found["wall_ratio"] = statistics.median(mine.wall / other.wall for mine, other in pairs)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout to compare with")
    parser.add_argument("--rounds", type=int, default=15, help="how often each command is run (default 15)")
    parser.add_argument("--quick", action="store_true", help="five rounds")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    figures = {}
    for command in COMMANDS:
        name = f"lab {' '.join(command)}"
        figures[name] = found = measured(command, HERE, options.against, 5 if options.quick else options.rounds)
        line = f"{name:18} {found['processor_ms']:4.0f} ms of processor, {found['wall_ms']:4.0f} ms until it ends"
        line += f" (a bare interpreter: {found['bare_processor_ms']:.0f} ms of processor)"
        if options.against:
            line += f"; of {options.against}: {found['processor_ratio']:.2f} processor, {found['wall_ratio']:.2f} wall"
        print(line, flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
