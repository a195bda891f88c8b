"""What packet loss costs: the netns rig's start, and each loss fault applied, seen in the kernel's counters, healed.

    .venv/bin/python benchmarks/bench_loss.py [--quick] [--times 50] [--json FILE]

One client is connected through the plan's line while the faults strike. Needs Linux, neither root nor Docker.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lab.fault import FAULTS, Seen
from lab.records.variant import Variant
from lab.rig import rigs
from lab.rig.netns.rig import NetnsRig
from lab.rig.site.site import PlanSite, open_site
from lab.subject.handle import Zygote

KINDS = ("blackout", "drop-to-server", "drop-to-client", "drop-connection", "link-down")
STARTS = 5
LONGEST = 5.0  # seconds
GOAL_START, GOAL_MS = 2.0, 30


def start_seconds() -> list[float]:
    """Seconds from nothing to a running rig; the first start, which may have to build the template, is left out."""
    found = []
    for _ in range(STARTS + 1):
        begun = time.perf_counter()
        with rigs.open_rig(NetnsRig.name):
            found.append(time.perf_counter() - begun)
    return found[1:]


@contextmanager
def connected() -> Iterator[PlanSite]:
    """A line with one client on it, in a transaction."""
    with (
        rigs.open_rig(NetnsRig.name) as rig,
        closing(Zygote(Variant(name="stock"), rig.folder, rig.environ())) as zygote,
        open_site(rig, "0" * 12, ("default",)) as site,
    ):
        child = zygote.fork(site.environ, site.databases)
        site.adopt(child)
        for do in ("begin", "enter", "read"):
            child.send({"do": do, "id": 1, "actor": "t0", "alias": "default", "nonce": "n", "savepoint": True})
            child.receive(LONGEST)
        yield site
        child.kill()
        site.clear()


def strike_ms(site: PlanSite, kind: str, times: int) -> dict[str, float]:
    """Median milliseconds to apply a fault, to see that it has landed, to heal it; and of the first and last together.

    Without `prepare`, which is for before the first connection: no loss fault has one.
    """
    taken: dict[str, list[float]] = {"applied": [], "seen": [], "healed": [], "applied and healed": []}
    for _ in range(times):
        begun = time.perf_counter()
        with FAULTS.get(kind)().strike(site) as seen:
            applied = time.perf_counter()
            await_sight(kind, seen)
            sighted = time.perf_counter()
        healed = time.perf_counter()
        taken["applied"].append(applied - begun)
        taken["seen"].append(sighted - applied)
        taken["healed"].append(healed - sighted)
        taken["applied and healed"].append(applied - begun + healed - sighted)
    return {name: statistics.median(each) * 1e3 for name, each in taken.items()}


def await_sight(kind: str, seen: Seen) -> None:
    """Ask until it has landed, as the lab does."""
    until = time.perf_counter() + LONGEST
    while seen() is None:
        if time.perf_counter() > until:
            raise SystemExit(f"{kind} was not seen to land within {LONGEST:g} s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of the strikes")
    parser.add_argument("--times", type=int, help="how often each fault strikes (default 50; quick: 10)")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    begun = time.perf_counter()
    rigs.prepare(NetnsRig.name)
    print(f"entering the namespace: {(time.perf_counter() - begun) * 1e3:.1f} ms")
    starts = start_seconds()
    median = statistics.median(starts)
    print(f"netns rig start, warm: median {median:.2f} s of {STARTS} (goal: under {GOAL_START:g})")
    figures: dict[str, object] = {"netns_start_seconds_median": median}
    with connected() as site:
        for kind in KINDS:
            found = strike_ms(site, kind, options.times or (10 if options.quick else 50))
            figures[kind] = {f"{name.replace(' ', '_')}_ms_median": value for name, value in found.items()}
            said = ", ".join(f"{name} {value:.1f} ms" for name, value in found.items())
            print(f"{kind}: {said} (goal: applied and healed under {GOAL_MS})")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
