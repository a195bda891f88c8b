"""The published claim over HTTP: a very simple page with a few selects, by gunicorn, loaded by hey.

    .venv/bin/python benchmarks/bench_http.py [--quick] [--json FILE] [--picture FILE]

One gunicorn per contender, with one worker (sync: one thread; gthread: four); they take turns, round by round, so that
a noisy machine is noisy to all. Printed are requests/s, the multiple of a connection per request with the same driver
(the snippet said 1600/350 = 4.57), and of CONN_MAX_AGE=None, which checks nothing: medians of the rounds' ratios, their
quartiles, and the ratio of the best fifth of the rounds. "paced" sends one request every 25 ms instead of as many as
can be, so that the worker is idle in between, and compares response times.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hey
import psutil
from contender import CHECKED, PER_REQUEST, PERSISTENT, PUBLISHED, UNCHECKED, Contender, contenders
from figures import Goal, Ratio, machine, write
from picture import Panel, draw
from server import LATENCY, SCRAM, TRUST, WAYS, Server, Way, serving

HERE = Path(__file__).resolve().parent
SNIPPET = 1600 / 350
THREADS = 4
PACE = 40.0
"""Requests per second: the worker of even the slowest contender is idle before the next."""
START_TIMEOUT = 30.0
WARM_UP = 60
"""Requests, a multiple of every number of clients."""


@dataclass(frozen=True)
class Setting:
    """One of gunicorn's kinds of worker on one way to the server, and how it is loaded."""

    way: Way
    worker: str = "sync"
    selects: int = 3
    pace: float | None = None
    """Requests per second; None: as many as it can."""

    @property
    def threads(self) -> int:
        return 1 if self.worker == "sync" else THREADS

    @property
    def clients(self) -> int:
        """One more than a sync worker serves, so that it never waits for its next request; when paced, one."""
        if self.pace is not None:
            return 1
        return self.threads if self.threads > 1 else 2

    @property
    def text(self) -> str:
        kind = "sync" if self.worker == "sync" else f"gthread ({THREADS})"
        selects = "1 select" if self.selects == 1 else f"{self.selects} selects"
        return f"{kind}{', paced' if self.pace else ''}, {selects}, {self.way.text}"


@dataclass
class Served:
    """A contender's running gunicorn, and what was measured of it."""

    contender: Contender
    url: str
    process: psutil.Process
    setting: Setting
    requests: int = 0
    """For each round: as many as take about as long as everybody's."""
    rates: list[float] = field(default_factory=list)
    """Requests per second; when paced, what the response time alone would allow."""
    cpu: list[float] = field(default_factory=list)
    """The worker's own seconds per request: what other load on the machine hardly moves."""

    def round(self, program: Path) -> None:
        """Load it once."""
        before = self._cpu()
        self.rates.append(self.load(program, self.requests))
        self.cpu.append((self._cpu() - before) / self.requests)

    def load(self, program: Path, requests: int) -> float:
        """Its rate."""
        setting = self.setting
        answers = hey.load(program, self.url, requests, setting.clients, setting.pace)
        return answers.rate if setting.pace is None else 1 / answers.response

    def _cpu(self) -> float:
        times = [child.cpu_times() for child in self.process.children()]
        return float(sum(each.user + each.system for each in times))


@contextmanager
def gunicorn(contender: Contender, setting: Setting, environ: dict[str, str]) -> Iterator[Served]:
    """Serve page.py until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}"]
        command += ["--worker-class", setting.worker, "--threads", str(setting.threads)]
        child = subprocess.Popen(
            [*command, "page:application"],
            cwd=HERE,
            env={
                **os.environ,
                **environ,
                **contender.environ(),
                "BENCH_SELECTS": str(setting.selects),
                "PYTHONPATH": f"{HERE.parent}:{HERE}",
            },
            pass_fds=[listener.fileno()],
        )
    try:
        yield Served(contender, url, psutil.Process(child.pid), setting)
    finally:
        child.terminate()
        try:
            child.wait(10.0)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def measure(server: Server, setting: Setting, who: Sequence[Contender], rounds: int, seconds: float) -> list[Served]:
    """Let them take turns, in another order each round: whom one follows must not matter."""
    program = hey.find()
    with ExitStack() as stack:
        served = [stack.enter_context(gunicorn(each, setting, server.environ(setting.way))) for each in who]
        for each in served:
            _await(each.url)
            hey.load(program, each.url, WARM_UP, setting.clients)
            rate = setting.pace or each.load(program, WARM_UP)
            each.requests = max(1, round(rate * seconds / setting.clients)) * setting.clients
        for number in range(rounds):
            for each in random.Random(number).sample(served, len(served)):
                each.round(program)
    return served


def _await(url: str) -> None:
    """Until gunicorn's worker answers: the listener is there before it."""
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), START_TIMEOUT) as probe:
        probe.sendall(b"GET / HTTP/1.0\r\n\r\n")
        if not probe.recv(12).endswith(b"200"):
            raise hey.Incomplete(f"the page at {url} does not work")


def table(setting: Setting, served: list[Served]) -> list[dict[str, Any]]:
    """Print it, and return it for JSON."""
    print(f"\n{setting.text}")
    rate = "1/time" if setting.pace else "req/s"
    print(f"{'':42} {rate:>6} {'worker ms':>9}   {'× a connection per request':27} × CONN_MAX_AGE=None")
    rows = []
    for each in served:
        row = {
            "contender": each.contender.name,
            "driver": each.contender.driver,
            "requests_per_second": statistics.median(each.rates),
            "worker_cpu_ms": sum(each.cpu) / len(each.cpu) * 1e3,
            "times_per_request": against(served, each, PER_REQUEST),
            "times_unchecked": against(served, each, UNCHECKED),
            "rounds": each.rates,
        }
        rows.append(row)
        print(
            f"{each.contender.label:42} {row['requests_per_second']:6.0f} {row['worker_cpu_ms']:9.2f}   "
            f"{row['times_per_request']!s:27} {row['times_unchecked']}"
        )
    return rows


def against(served: list[Served], one: Served, base: str) -> Ratio:
    """Its requests/s as a multiple of another's with the same driver."""
    found = next(x for x in served if x.contender.name == base and x.contender.driver == one.contender.driver)
    return Ratio.of(one.rates, found.rates)


def goals(setting: Setting, served: list[Served]) -> list[Goal]:
    """Those of the repaired backends."""
    found = []
    for ours in [each for each in served if each.contender.name in PERSISTENT]:
        driver = ours.contender.driver
        rivals = [x.contender.name for x in served if x.contender.driver == driver]
        say = f"{ours.contender.label}, {setting.text}: × "
        found.append(Goal(say + PER_REQUEST, SNIPPET, against(served, ours, PER_REQUEST)))
        if setting.way == TRUST:
            found.append(Goal(say + UNCHECKED, 0.97, against(served, ours, UNCHECKED)))
        wanted = 1.3 if setting.way == LATENCY else 1.0
        slower = [name for name in (CHECKED, *PUBLISHED) if name in rivals]
        found += [Goal(say + name, wanted, against(served, ours, name)) for name in slower]
    return found


def panel(setting: Setting, served: list[Served]) -> Panel:
    """For the picture."""
    found = Panel(setting.text, lines={"the snippet's 4.57": SNIPPET})
    for each in served:
        found.bars[each.contender.label] = against(served, each, PER_REQUEST)
    return found


def plan(given: argparse.Namespace) -> list[tuple[Setting, list[Contender]]]:
    """What is run: who, how."""
    everybody = [each for driver in given.drivers for each in contenders(driver)]
    if given.only:
        wanted = (PER_REQUEST, UNCHECKED, *given.only)
        everybody = [each for each in everybody if any(word in each.name for word in wanted)]
    threaded = [each for each in everybody if each.threaded]
    ways = [way for way in WAYS if way.name in given.ways]
    found = []
    if "sync" in given.kinds:
        found += [(Setting(way), everybody) for way in ways]
    if "gthread" in given.kinds:
        found += [(Setting(way, "gthread"), threaded) for way in ways if way != SCRAM]
    if "paced" in given.kinds and LATENCY in ways:
        found += [(Setting(LATENCY, selects=selects, pace=PACE), everybody) for selects in (1, 3)]
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = [way.name for way in WAYS]
    parser.add_argument("--quick", action="store_true", help="psycopg2, sync worker, 3 short rounds: under a minute")
    parser.add_argument("--rounds", type=int, help="default 25; quick: 3")
    parser.add_argument("--only", nargs="+", help="contenders whose names contain one of these, and the two bases")
    parser.add_argument("--seconds", type=float, default=0.2, help="of load in each round")
    parser.add_argument("--drivers", nargs="+", choices=["psycopg2", "psycopg"])
    parser.add_argument("--ways", nargs="+", choices=ways, default=ways)
    parser.add_argument("--kinds", nargs="+", choices=["sync", "gthread", "paced"])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    given.rounds = given.rounds or (3 if given.quick else 25)
    given.drivers = given.drivers or (["psycopg2"] if given.quick else ["psycopg2", "psycopg"])
    given.kinds = given.kinds or (["sync"] if given.quick else ["sync", "gthread", "paced"])

    results: dict[str, Any] = {"machine": machine(), "rounds": given.rounds, "seconds": given.seconds, "tables": {}}
    panels, reached = [], []
    begun = time.monotonic()
    with serving() as server:
        results["versions"] = server.rig.versions()
        for setting, who in plan(given):
            served = measure(server, setting, who, given.rounds, given.seconds)
            results["tables"][setting.text] = table(setting, served)
            reached += goals(setting, served)
            panels.append(panel(setting, served))
    print("\ngoals")
    print(*reached, sep="\n")
    results["goals"] = [each.record() for each in reached]
    if given.json:
        write(given.json, results)
    if given.picture:
        draw(given.picture, "requests/s over HTTP", "× a connection per request", panels)
    print(f"\n{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
