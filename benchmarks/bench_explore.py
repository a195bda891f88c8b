"""What exhaustion costs: cases per second of the cuts, and the share of them that no lab could leave out.

    .venv/bin/python benchmarks/bench_explore.py [VARIANT] [--quick] [--every byte] [--window commit] [--json FILE]

The bare parts of a case are forking the subject, two connections, the statements of three requests, and the process's
end, through a proxy that is there: without plan, tap, fault, census or judge. They are run on as many threads as the
cuts, right before and right after them, so that both meet the same noise.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from lab.check.variants import rows
from lab.explore.cuts import REQUESTS, SECOND, THIRD, Cuts, chosen_ways
from lab.explore.engine import NARROW, Target, explore
from lab.explore.points import WINDOWS
from lab.records.plan import Close
from lab.rig.embedded.rig import Rig
from lab.store import Store
from lab.subject.handle import Zygote

STEPS = (*REQUESTS["plain"], Close("t0"), *SECOND, *THIRD)
BARE = 60
GOALS = {"message": 5.0, "byte": 60.0}


def bare(rig: Rig, zygote: Zygote, port: int) -> None:
    """The parts of one case."""
    with rig.seat() as seat:
        where = {"HOST": rig.host, "PORT": str(port), "USER": seat.name, "PASSWORD": seat.password, "NAME": "lab"}
        child = zygote.fork({}, {"default": where})
        for number, step in enumerate(STEPS):
            message: dict[str, Any] = {"id": number, "actor": "t0", "do": type(step).__name__.lower()}
            message |= {"alias": "default", "nonce": "n", "token": "t", "plan": "bare"}
            message["tells"] = {"begin": "request_started", "end": "request_finished"}.get(message["do"], "")
            child.send(message | {"savepoint": True, "outcome": "commit"})
            child.receive(10.0)
        child.end()


def bare_per_second(rig: Rig, zygote: Zygote) -> float:
    """How many of them can be done, on as many threads as cases that compute have."""
    with rig.proxy("bare") as proxy, ThreadPoolExecutor(NARROW) as threads:
        begun = time.perf_counter()
        list(threads.map(lambda _: bare(rig, zygote, proxy.port), range(BARE)))
        return BARE / (time.perf_counter() - begun)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", nargs="?", default="django_persistent", choices=list(rows()))
    parser.add_argument("--every", choices=list(GOALS), default="message")
    parser.add_argument("--window", choices=list(WINDOWS), help="default request; quick: commit")
    parser.add_argument("--quick", action="store_true", help="a small window")
    parser.add_argument("--way", action="append", default=[])
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    window = options.window or ("commit" if options.quick else "request")
    variant = rows()[options.variant]
    with (
        tempfile.TemporaryDirectory() as folder,
        Rig() as rig,
        closing(Zygote(variant, rig.folder, rig.environ())) as zygote,
    ):
        before = bare_per_second(rig, zygote)
        exploration = Cuts((window,), options.every, chosen_ways(options.way))
        found = explore(exploration, Target(variant, rig, zygote), Store(Path(folder)))
        floor = (before + bare_per_second(rig, zygote)) / 2
    rate = found.cases / found.seconds
    figures = {
        "points": found.table.points,
        "cases": found.cases,
        "void": found.table.void,
        "seconds": found.seconds,
        "cases_per_second": rate,
        "bare_per_second": floor,
        "bare_share": rate / floor,
    }
    goal = f" (goal for one whole request: under {GOALS[options.every]:.0f})" if window == "request" else ""
    print(
        f"{variant.name}, every {options.every} of {window}: {found.cases} cases, {found.table.void} void, "
        f"{found.seconds:.1f} s{goal}, {rate:.1f} cases/s; bare parts {floor:.1f}/s, their share {rate / floor:.0%}"
    )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
