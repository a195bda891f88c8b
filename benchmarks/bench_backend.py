"""What each backend costs per request, without HTTP: Django's WSGI handler called in process.

    .venv/bin/python benchmarks/bench_backend.py [--quick] [--json FILE] [--picture FILE]

Each contender has a process of its own; they take turns, round by round. The page makes three small selects through the
ORM; "floor" is the same three statements by a bare driver on one connection. Printed are microseconds, and speed as a
multiple of CONN_MAX_AGE=None, which checks nothing: medians of the rounds' ratios, their quartiles, and the
ratio of the best fifth of the rounds. `cpu` is the client process's own time, the figure that other load on the machine
moves least.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contender import CHECKED, PERSISTENT, PUBLISHED, UNCHECKED, Contender, contenders
from figures import Goal, Ratio, machine, write
from picture import Panel, draw
from server import LATENCY, TRUST, Server, Way, serving

HERE = Path(__file__).resolve().parent
FLOOR = "floor (bare driver)"
WAYS = (TRUST, LATENCY)


@dataclass
class Child:
    """A contender's process, and what was measured of it: microseconds per request, round by round."""

    contender: Contender
    process: subprocess.Popen[str]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def round(self, requests: int) -> None:
        """Let it serve so many."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{requests}\n")
        self.process.stdin.flush()
        wall, cpu = map(float, self.process.stdout.readline().split())
        self.wall.append(wall / requests * 1e6)
        self.cpu.append(cpu / requests * 1e6)


@contextmanager
def child(contender: Contender, environ: dict[str, str]) -> Iterator[Child]:
    """Its process, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "backend_child.py")],
        env={**os.environ, **environ, **contender.environ(), "PYTHONPATH": f"{HERE.parent}:{HERE}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Child(contender, process)
    finally:
        process.communicate()


def measure(server: Server, way: Way, who: Sequence[Contender], rounds: int, requests: int) -> list[Child]:
    """Let them take turns, in another order each round: whom one follows must not matter."""
    with ExitStack() as stack:
        children = [stack.enter_context(child(each, server.environ(way))) for each in who]
        for number in range(rounds):
            for each in random.Random(number).sample(children, len(children)):
                each.round(requests)
    return children


def speed(children: list[Child], one: Child, base: str, what: str = "wall") -> Ratio:
    """How many times as fast as another."""
    found = next(each for each in children if each.contender.name == base)
    return Ratio.of([1 / x for x in getattr(one, what)], [1 / x for x in getattr(found, what)])


def table(title: str, children: list[Child]) -> list[dict[str, Any]]:
    """Print it, and return it for JSON."""
    print(f"\n{title}")
    print(f"{'':34} {'wall µs':>8} {'cpu µs':>8}   {'× CONN_MAX_AGE=None':27} {'the same, by cpu'}")
    rows = []
    for each in children:
        row = {
            "contender": each.contender.name,
            "wall_us": statistics.median(each.wall),
            "cpu_us": statistics.median(each.cpu),
            "speed_wall": speed(children, each, UNCHECKED),
            "speed_cpu": speed(children, each, UNCHECKED, "cpu"),
        }
        rows.append(row)
        print(
            f"{row['contender']:34} {row['wall_us']:8.0f} {row['cpu_us']:8.0f}   "
            f"{row['speed_wall']!s:27} {row['speed_cpu']}"
        )
    return rows


def goals(title: str, way: Way, children: list[Child]) -> list[Goal]:
    """Those of the repaired backends that can be read without HTTP."""
    found = []
    wanted = {UNCHECKED: 0.97, **dict.fromkeys((CHECKED, *PUBLISHED), 1.0)}
    if way == LATENCY:
        wanted = dict.fromkeys((CHECKED, *PUBLISHED), 1.3)
    present = {each.contender.name for each in children}
    for ours in [each for each in children if each.contender.name in PERSISTENT]:
        found += [
            Goal(f"{ours.contender.name}, {title}: × {name}", least, speed(children, ours, name))
            for name, least in wanted.items()
            if name in present
        ]
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds: under a minute")
    parser.add_argument("--drivers", nargs="+", choices=["psycopg2", "psycopg"], default=["psycopg2", "psycopg"])
    parser.add_argument("--ways", nargs="+", choices=[way.name for way in WAYS], default=[way.name for way in WAYS])
    parser.add_argument("--only", nargs="+", help="contenders whose names contain one of these (and the base)")
    parser.add_argument("--rounds", type=int, help="default 60; quick: 10")
    parser.add_argument("--requests", type=int, default=40, help="per round and contender")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    rounds = given.rounds or (10 if given.quick else 60)

    results: dict[str, Any] = {"machine": machine(), "rounds": rounds, "requests": given.requests, "tables": {}}
    panels, reached = [], []
    begun = time.monotonic()
    with serving() as server:
        results["versions"] = server.rig.versions()
        for way in [each for each in WAYS if each.name in given.ways]:
            for driver in given.drivers:
                who = [Contender(FLOOR, "", driver), *contenders(driver)]
                if given.only:
                    who = [x for x in who if x.name == UNCHECKED or any(word in x.name for word in given.only)]
                title = f"{driver}, {way.text}"
                children = measure(server, way, who, rounds, given.requests)
                results["tables"][title] = table(title, children)
                reached += goals(title, way, children)
                bars = {x.contender.name: speed(children, x, UNCHECKED) for x in children if x.contender.engine}
                panels.append(Panel(title, bars, {} if way == LATENCY else {"goal: 0.97": 0.97}))
    print("\ngoals")
    print(*reached, sep="\n")
    results["goals"] = [each.record() for each in reached]
    if given.json:
        write(given.json, results)
    if given.picture:
        draw(given.picture, "speed of a request without HTTP", f"× {UNCHECKED}", panels)
    print(f"\n{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
