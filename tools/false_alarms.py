"""Checks each correct backend of tests/zoo again and again on a machine that is kept busy; reports each accusation.

    .venv/bin/python tools/false_alarms.py --times 50 zoo.correct_queues zoo.correct_careful

Without names it takes all of tests/zoo/correct_*, or one part of them: `--shard 2/12`. Each check has a seed of its
own, from `--seed` on, and a line that says what it came to: what is unknown is no accusation, and no proof. What Django
itself leaves open, and what all these backends inherit from it, is none of their claims; whatever else is said to be
broken is a false alarm, told in one line with the plan that shows it. The exit status is 1 then, and 2 where time ran
out (`--minutes`) before all checks had run. `--idle` leaves the machine as it is.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.check.check import Options, check
from lab.check.lanes import SLOTS
from lab.errors import BadInput
from lab.promise import PROMISES
from lab.records.result import PromiseResult, Result
from lab.records.shard import WHOLE, Shard, parse
from lab.records.variant import Driver, Variant
from lab.records.verdict import Verdict
from lab.report.verdict_mark import mark
from lab.rig.rigs import open_rig, prepare
from lab.store import Store

TESTS = Path(__file__).resolve().parents[1] / "tests"
BUSY = "while True: pass"
UNCLAIMED = ("bounded-wait", "commits-on-close")
"""Django has no timeouts, and close() commits nothing."""
OUTSIDE = ("in a command", "in an executor's thread")
SWALLOWED = (
    *("close() inside", "close() inside atomic", "statement error swallowed"),
    *("unique, in atomic(), error swallowed", "statement_timeout, in atomic(), error swallowed"),
)
LIMITS = {
    "atomic": SWALLOWED,
    "durable": SWALLOWED,
    "bounded-sessions": ("in an executor's thread", "signal in a checkout"),
    "recovers": (*OUTSIDE, "block never left", "a consumer in a command"),
    "replaces-stale": OUTSIDE,
}
"""Work of whose end Django is told nothing, and blocks that end badly: inherited with Django's wrapper."""

SIMPLE = (
    *(
        "closes_soon",
        "commits",
        "keep_alive",
        "keeper",
        "keeps_nothing",
        "looks_up_commits",
        "opens_at_import",
        "own_close",
        "own_pool",
        "reclaims",
    ),
    *("refuses", "reopens", "serialises", "slow_checkout", "slow_connect"),
)
FEW = (
    *("aborts-cleanly", "atomic", "durable", "idle-after-close", "isolated-threads", "recovers", "replaces-stale"),
    "reuses",
)
"""Those that are no copies of zoo/careful.py, and the promises that they make: they reset no session, and the like."""
PSYCOPG = ("keeps_nothing", "opens_at_import", "own_pool")
"""Those whose pool is psycopg_pool's, whatever `--driver` says."""
BACKED_OFF = tuple(
    f"{refused}, with a kept session" for refused in ("ended at once", "password refused", "no connection slot")
)
"""Where psycopg_pool, refused for long, waits longer and longer before it tries again: `recovers` is none of theirs."""
OF_ITS_DESIGN = {
    "ages_with_jitter": ("reuses",),
    "closes_outside": ("bounded-sessions", "initialised", "recovers", "steady-session"),
    "closes_soon": ("reuses",),
    "closes_when_idle": ("reuses",),
    "ends_after_five": ("reuses",),
    "ends_at_random": ("reuses",),
    "opens_in_batches": ("writable",),
    "preopens": ("writable",),
    "refills_behind": ("writable",),
    "spares_per_thread": ("bounded-sessions",),
}
"""Sessions that end while a busy machine takes its time, or after few requests; threads that take turns, each with
sessions of its own; spares of which none is looked at when another one turns out to take no writes.

And Django's own wrapper with one thing changed, which is that a session ends with each statement outside of requests.
"""
THERE: dict[str, dict[str, tuple[str, ...]]] = {
    "closes_outside": {"whole-answers": ("a consumer in a command",)},
    "pings_everywhere": {
        "whole-answers": ("a consumer in a request", "a consumer in a command"),
        "steady-session": ("its session lost",),
    },
    "queues": {"writable": ("several sessions",)},
}
"""Moments at which a design does not make the promise: nothing listens where each statement has a session of its own,
a session that is replaced in silence takes its LISTEN and what was set on it along, and who finds one session that
takes no writes does not look at the others that wait.
"""
MAXIMUM = {"two_tiers": 17}
"""What no round of requests shows, because it depends on the number of threads: five may wait beside a crowd of twelve
(lab/promises/recovers.py), each of which has one.
"""

FORKED = ("inside atomic(), then close_all", "inside atomic(), the child ends it")
"""A process that is forked in a block, and ends it: they do not claim fork-safe."""
STOCK = TESTS.parent / "backend_under_test" / "django_limits.json"
"""The moments at which stock Django was seen to break each promise, by what it keeps."""


def correct(shard: Shard = WHOLE) -> list[str]:
    """The correct half of the zoo, or a shard of it: every `of`-th one, so that all shards are about as large."""
    designs = sorted(f"zoo.{path.name}" for path in (TESTS / "zoo").glob("correct_*"))
    return designs[shard.index - 1 :: shard.of]


def variant(engine: str, driver: Driver) -> Variant:
    """One of them, and what it claims."""
    design = engine.removeprefix("zoo.correct_")
    unclaimed = {*UNCLAIMED, *OF_ITS_DESIGN.get(design, ())}
    made = FEW if design in SIMPLE else tuple(each.id for each in PROMISES.values())
    claims = tuple(each for each in made if each not in unclaimed)
    driver = "psycopg" if design in PSYCOPG else driver
    limits: dict[str, tuple[str, ...]] = {
        **LIMITS,
        **(_of_the_wrapper(design in PSYCOPG) if design in SIMPLE else {}),
        **THERE.get(design, {}),
    }
    return Variant(
        name=engine,
        engine=engine,
        driver=driver,
        path=(str(TESTS),),
        claims=claims,
        limits=limits,
        maximum=MAXIMUM.get(design, 0),
    )


def _of_the_wrapper(pool: bool) -> dict[str, tuple[str, ...]]:
    """At which moments a wrapper that forgets no block breaks these promises, though it checks what it keeps.

    And with the library's `pool`, those at which that does.
    """
    stock = json.loads(STOCK.read_text(encoding="utf-8"))
    checked = stock["health_checks"]
    found = {each: (*LIMITS[each], *checked[each], *FORKED) for each in ("atomic", "durable", "recovers")}
    if pool:
        found["recovers"] += (*stock["pool"]["recovers"], *BACKED_OFF)
        found["replaces-stale"] = (*LIMITS["replaces-stale"], *stock["pool"]["replaces-stale"])
    return found


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that do nothing but work, until the end of the block."""
    children = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(loops)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def accusations(promises: dict[str, PromiseResult], limits: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """What was said to be broken though it is claimed, by promise and moment, and where that is seen.

    `limits` are the design's own: one that breaks at another moment, too, has its whole promise said to be broken.
    """
    for name, promise in promises.items():
        if promise.verdict is not Verdict.BROKEN or not promise.claimed:
            continue
        known = {*promise.limits, *limits.get(name, ())}
        moments = [each for each, verdict in promise.moments.items() if verdict is Verdict.BROKEN and each not in known]
        if moments:
            yield f"{name} at {', '.join(moments)}: {promise.summary} ({', '.join(promise.evidence[:1])})"


def came_to(result: Result) -> str:
    """How many promises came to each verdict, which of them are unknown, and how many runs proved nothing."""
    words = Counter(str(mark(promise).word) for promise in result.promises.values())
    unknown = [name for name, promise in result.promises.items() if promise.verdict is Verdict.UNKNOWN]
    which = f" ({', '.join(unknown)})" if unknown else ""
    counts = ", ".join(f"{words[word]} {word}{which if word == 'unknown' else ''}" for word in sorted(words))
    return f"{counts}; {result.void} of {result.cases} runs void, {result.seconds:.0f} s"


def main() -> int:
    """Run them; 1 when any was accused, 2 when not all were run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help="default: all of tests/zoo/correct_*")
    parser.add_argument("--shard", default="", metavar="K/N", help="one of so many parts of the designs: 2/12")
    parser.add_argument("--times", type=int, default=50, help="checks of each (50)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first one (0)")
    parser.add_argument("--minutes", type=float, default=None, help="begin no check later; default: without limit")
    parser.add_argument("--budget", type=float, default=None, help="seconds for each check; default: without limit")
    parser.add_argument("--promise", action="append", default=[], help="only this promise; may be repeated")
    parser.add_argument("--driver", choices=("psycopg2", "psycopg"), default="psycopg2")
    parser.add_argument("--store", type=Path, default=None, help="where evidence goes; default: a new folder")
    parser.add_argument("--idle", action="store_true", help="without the loops that keep the processors busy")
    chosen = parser.parse_args()
    if chosen.engines and chosen.shard:
        parser.error("--shard is a part of all designs: name none")
    try:
        engines = chosen.engines or correct(parse(chosen.shard))
    except BadInput as refusal:
        parser.error(str(refusal))
    accused = checks = 0
    until = time.monotonic() + 60 * chosen.minutes if chosen.minutes else math.inf
    store = Store(chosen.store or Path(tempfile.mkdtemp(prefix="false-alarms-")))
    with open_rig(prepare(), max_connections=SLOTS) as rig, busy(0 if chosen.idle else os.cpu_count() or 1):
        for engine in engines:
            own = ran = 0
            for seed in range(chosen.seed, chosen.seed + chosen.times):
                if time.monotonic() > until:
                    break
                options = Options(
                    promises=tuple(chosen.promise), budget=chosen.budget, seed=seed, search=2.0, brief=False
                )
                checked = variant(engine, chosen.driver)
                (result,) = check([checked], rig, options, store)
                ran += 1
                print(f"{engine}, {checked.driver}, seed {seed}: {came_to(result)}", flush=True)
                for accusation in accusations(result.promises, checked.limits):
                    own += 1
                    print(f"{engine}, seed {seed}: {accusation}", flush=True)
            accused, checks = accused + own, checks + ran
            print(f"{engine}: {ran} of {chosen.times} checks, {own} accusations", flush=True)
    print(f"{checks} of {len(engines) * chosen.times} checks, {accused} accusations")
    if accused:
        return 1
    return 0 if checks == len(engines) * chosen.times else 2


if __name__ == "__main__":
    sys.exit(main())
