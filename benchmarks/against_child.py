"""What one checkout's cases cost, by process: run by bench_against.py with that checkout's interpreter, in its folder.

    python against_child.py KIND VARIANT CASES

KIND is `simple`, `parts` (the same, and the lab's CPU by what it does), `message` or `byte` (cuts). Prints one JSON
object: cases, void ones, wall seconds, and CPU seconds of the lab, the subject, PostgreSQL and
Toxiproxy while they ran; starting and ending the servers is not in it. It must run on every checkout that is to be
compared, so it imports from wherever a name has lived.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")
SIMPLE = 2
"""Cases before the clock starts: connections are made, code is warm."""


def found(name: str, *modules: str) -> Any:
    """`name` from the first of the modules that there is."""
    for module in modules:
        with contextlib.suppress(ImportError):
            return getattr(importlib.import_module(module), name)
    raise SystemExit(f"none of {', '.join(modules)} is there")


def cpu(pid: int) -> float:
    """CPU seconds of a process, its threads and those of its children that have ended and been waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICK


def children(pid: int) -> list[int]:
    """The processes that it has now."""
    text = ""
    for task in Path(f"/proc/{pid}/task").iterdir():
        text += (task / "children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]


def tree(pid: int) -> float:
    """CPU seconds of a process and all below it; what ends meanwhile is not counted."""
    total = 0.0
    with contextlib.suppress(OSError):
        total = cpu(pid)
        for child in children(pid):
            total += tree(child)
    return total


def split(rig: Any, zygote: Any) -> dict[str, float]:
    """CPU seconds so far, by process."""
    return {
        "lab": time.process_time(),
        "subject": tree(zygote._process.pid),  # noqa: SLF001 - no checkout to be compared has another way
        "postgresql": tree(rig.postgres.pid),
        "toxiproxy": tree(rig.toxiproxy.pid),
    }


class Parts:
    """CPU seconds of the lab's threads by what they did, and how often; what is called inside a part belongs to it."""

    def __init__(self) -> None:
        self.found: dict[str, list[float]] = {}
        self._lock = threading.Lock()
        self._in = threading.local()

    def watch(self, part: str, name: str, *owners: str) -> None:
        """Count the calls of a function, or `Class.method`, of the first of these modules that there is."""
        first, _, rest = name.partition(".")
        for owner in owners:
            with contextlib.suppress(ImportError, AttributeError):
                module = importlib.import_module(owner)
                holder = getattr(module, first) if rest else module
                setattr(holder, rest or first, self._counted(part, getattr(holder, rest or first)))
                return

    def _counted(self, part: str, function: Any) -> Any:
        @functools.wraps(function)
        def counted(*arguments: Any, **named: Any) -> Any:
            if getattr(self._in, "one", False):
                return function(*arguments, **named)
            self._in.one, begun = True, time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                self._in.one, spent = False, time.thread_time() - begun
                with self._lock:
                    entry = self.found.setdefault(part, [0, 0.0])
                    entry[0] += 1
                    entry[1] += spent

        return counted


def watched() -> Parts:
    """The parts of a case, as far as this checkout has them."""
    parts = Parts()
    sql = "the server's view by SQL"
    parts.watch(sql, "ServerView.sessions", "lab.rig.site.server_view")
    parts.watch(sql, "OwnConnection.execute", "lab.rig.postgres.connection")
    parts.watch(sql, "Connection.execute", "psycopg")
    parts.watch("proxies over HTTP", "Transport._call", "lab.rig.toxiproxy.api", "lab.rig.toxiproxy_api")
    parts.watch("steps to the subject and back", "Child.send", "lab.subject.handle")
    parts.watch("steps to the subject and back", "Child.receive", "lab.subject.handle")
    parts.watch("the subject's process", "Zygote.fork", "lab.subject.handle")
    parts.watch("the subject's process", "Zygote.reap", "lab.subject.handle")
    parts.watch("the kernel's table of connections", "Clients.all", "lab.rig.machine.tcp")
    parts.watch("the kernel's table of connections", "Clients.among", "lab.rig.machine.tcp")
    parts.watch("the kernel's table of connections", "clients", "lab.rig.tcp")
    return parts


@contextlib.contextmanager
def counted(rig: Any, zygote: Any, figures: dict[str, Any]) -> Iterator[None]:
    """Put what the block costs into `figures`."""
    before, begun = split(rig, zygote), time.perf_counter()
    yield
    figures["wall"] = time.perf_counter() - begun
    after = split(rig, zygote)
    figures["cpu"] = {name: after[name] - before[name] for name in after}


def simple(variant: Any, rig: Any, zygote: Any, cases: int, figures: dict[str, Any], *, by_part: bool) -> None:
    """Plans with one FIN between two requests, judged, three at a time as a check runs them."""
    run = found("run", "lab.run")
    judge = found("judge", "lab.judging.judge", "lab.judge")
    names = ("FIN", "block", "query", "request")
    parts = [found(name, "lab.judging.plan_parts", "lab.promises.phrase") for name in names]
    fin, block, query, request = parts
    records = importlib.import_module("lab.records.plan")
    steps = (*query("t0"), *request("t0", fin, records.Read("t0")), *block("t0"))
    plan = records.Plan(variant=variant, steps=steps)

    judging = [0.0]

    def case(_: int) -> bool:
        record = run(plan, rig, zygote)
        begun = time.thread_time()
        judge(record)
        judging[0] += time.thread_time() - begun
        return bool(record.void)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(case, range(3 * SIMPLE)))
        parts = watched() if by_part else Parts()
        judging[0] = 0.0
        with counted(rig, zygote, figures):
            figures["void"] = sum(threads.map(case, range(cases)))
    figures["cases"] = cases
    if by_part:
        figures["parts"] = {**parts.found, "judges": [cases, judging[0]]}


def cuts(variant: Any, rig: Any, zygote: Any, figures: dict[str, Any], *, every: str, window: str) -> None:
    """One request cut before each of its messages, or after each byte of a window."""
    cuts_module = importlib.import_module("lab.explore.cuts")
    store = importlib.import_module("lab.store").Store
    with tempfile.TemporaryDirectory() as folder, counted(rig, zygote, figures):
        try:
            engine = importlib.import_module("lab.explore.engine")
            exploration = cuts_module.Cuts((window,), every, cuts_module.chosen_ways([]))
            target = engine.Target(variant, rig, zygote)
            explored = engine.explore(exploration, target, store(Path(folder)))
            figures |= {"cases": explored.cases, "void": explored.table.void}
        except ImportError:  # before there was one engine
            ground = cuts_module.Ground(variant, rig, zygote)
            found = cuts_module.explore(ground, store(Path(folder)), windows=(window,), every=every)
            figures |= {"cases": found.cases, "void": found.cuts.void}


def main() -> None:
    """Measure and print."""
    kind, name, number = sys.argv[1:4]
    sys.path.insert(0, os.getcwd())
    rig_class = found("Rig", "lab.rig.embedded.rig", "lab.rig.rig")
    zygote_class = found("Zygote", "lab.subject.handle")
    variant = found("rows", "lab.check.variants")()[name]
    figures: dict[str, Any] = {}
    with rig_class() as rig:
        zygote = zygote_class(variant, rig.folder, rig.environ())
        if kind in ("simple", "parts"):
            simple(variant, rig, zygote, int(number), figures, by_part=kind == "parts")
        elif kind == "message":
            cuts(variant, rig, zygote, figures, every="message", window="request")
        else:
            cuts(variant, rig, zygote, figures, every="byte", window="commit")
        zygote.close()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
