"""What own views under cuts and orders cost, as ratios measured in one run on the example shop.

    .venv/bin/python benchmarks/bench_application.py [--quick] [--rounds 5] [--json FILE]

CPU is that of the test's process and of the tap's; the server's is not in it. A plain request opens its connection, as
behind a server without persistent connections, and is answered by the same view; the lab's runs and the plain ones take
turns, so that both meet the same noise. Wall times are of this machine as it was.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg

from lab.application import made
from lab.application.server import OwnServer, lead
from lab.application.session import Options, Session

SHOP = Path(__file__).resolve().parents[1] / "examples" / "shop"
PLAIN = 40
"""Plain requests of a round."""

STOCK = 1_000_000
MORE_TABLES = 190
"""Tables beside the shop's, for the restore of a few among many."""


def ordinary_password(server: OwnServer) -> None:
    """A user whose password costs what it costs on any server: the lab's own ones are cheap to check on purpose."""
    where = server.where
    parts = {"user": where["user"], "password": where["password"], "dbname": "postgres"}
    with psycopg.connect(host=where["host"], port=where["port"], autocommit=True, **parts) as connection:
        connection.execute("SET scram_iterations = 4096")
        connection.execute("CREATE ROLE shop SUPERUSER LOGIN PASSWORD 'shop'")


def set_up(server: OwnServer) -> None:
    """A Django with the shop's tables in a test database of this run."""
    sys.path.insert(0, str(SHOP))
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    import django

    django.setup()
    from django.db import connection
    from django.test.utils import setup_test_environment

    setup_test_environment()
    made.watch()
    lead({**server.where, "user": "shop", "password": "shop"})
    for app in ("shop", "auth", "contenttypes", "sessions"):
        django.conf.settings.MIGRATION_MODULES[app] = None
    connection.creation.create_test_db(verbosity=0, serialize=False)


def fill() -> None:
    """Enough stock for every request."""
    from shop.models import Account, Product

    Product.objects.create(sku="a", stock=STOCK)
    Account.objects.create(owner="ann", balance=1_000_000)


class Meter:
    """The CPU of this process and of the tap's, and the wall, from one call of `lap` to the next."""

    def __init__(self, session: Session) -> None:
        self._processes = [psutil.Process(), psutil.Process(session.tap.pid)]
        self.lap()

    def lap(self) -> tuple[float, float]:
        """Seconds of CPU and of wall since the last one."""
        now = sum(sum(each.cpu_times()[:2]) for each in self._processes), time.perf_counter()
        found = tuple(new - old for new, old in zip(now, getattr(self, "_last", now), strict=True))
        self._last = now
        return found[0], found[1]


def plain(request: Callable[[], Any], times: int) -> None:
    """The requests alone."""
    from lab.application.clients import as_browsers

    with as_browsers():
        for _ in range(times):
            assert request().status_code < 400


def per_case(session: Session, request: Callable[[], Any], invariant: Callable[[], None] | None, rounds: int) -> Any:
    """CPU of a cut case against CPU of the plain request, and the wall of the whole test."""
    from lab.application.cuts import every_cut

    meter, ratios, walls = Meter(session), [], []
    plain(request, 5)
    for _ in range(rounds):
        meter.lap()
        plain(request, PLAIN)
        alone = meter.lap()[0] / PLAIN
        line = every_cut(session, request, invariant).line
        cpu, wall = meter.lap()
        cases = cuts_of(line) + 3  # the warm-up and two clean runs
        ratios.append(cpu / cases / alone)
        walls.append(wall)
    return {"ratio": statistics.median(ratios), "wall_s": min(walls), "said": line}


def cuts_of(line: str) -> int:
    """How many cases a passing test's line counts."""
    words = line.replace(",", " ").split()
    return next(int(words[at - 1]) for at, word in enumerate(words) if word in ("cut", "cuts", "order", "orders"))


def per_order(session: Session, requests: list[Callable[[], Any]], rounds: int) -> Any:
    """CPU of an order of two requests against CPU of two plain ones."""
    from lab.application.orders import every_order

    meter, ratios, walls = Meter(session), [], []
    for _ in range(rounds):
        meter.lap()
        plain(requests[0], PLAIN)
        alone = meter.lap()[0] / PLAIN
        line = every_order(session, *requests).line
        cpu, wall = meter.lap()
        orders = cuts_of(line) + 5  # the warm-up, and each of two serial orders twice
        ratios.append(cpu / orders / (2 * alone))
        walls.append(wall)
    return {"ratio": statistics.median(ratios), "wall_s": min(walls), "said": line}


def restore(rounds: int) -> float:
    """Milliseconds to put four touched tables back among two hundred."""
    from django.db import connection

    from lab.application.redirect import straight
    from lab.application.state import save

    with connection.cursor() as cursor:
        for number in range(MORE_TABLES):
            cursor.execute(f"CREATE TABLE more_{number} AS SELECT 1 AS n")
    wrapper = straight("default")
    wrapper.ensure_connection()
    connection.close()
    saved = save({"default": wrapper})
    found = []
    for _ in range(rounds * 4):
        with connection.cursor() as cursor:
            for number in range(4):
                cursor.execute(f"INSERT INTO more_{number} VALUES (2)")
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        connection.close()
        _wait_gone(wrapper, pid)  # a session hands its counters in when it ends
        begun = time.perf_counter()
        saved.restore()
        found.append((time.perf_counter() - begun) * 1000)
        assert not saved.tally()
    saved.close()
    wrapper.close()
    return min(found)


def _wait_gone(wrapper: Any, pid: int) -> None:
    while True:
        with wrapper.cursor() as cursor:
            cursor.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid])
            if cursor.rowcount == 0:
                return


def import_ms(rounds: int) -> float:
    """Milliseconds that loading the plugin adds to loading pytest."""
    program = "import time, pytest; t = time.perf_counter(); import lab.pytest_plugin; print(time.perf_counter() - t)"
    argv = [sys.executable, "-c", program]
    return min(float(subprocess.check_output(argv, cwd=SHOP.parents[1])) * 1000 for _ in range(rounds))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    server = OwnServer()
    try:
        found = measure(server, rounds)
    finally:
        server.close()
    for name, (value, most, unit, said) in found.items():
        print(f"{name:<58} {value:8.2f} {unit:<3} (at most {most:g})  {said}")
    if arguments.json:
        arguments.json.write_text(json.dumps({name: value for name, (value, *_) in found.items()}, indent=2) + "\n")


def measure(server: OwnServer, rounds: int) -> dict[str, tuple[float, float, str, str]]:
    """Each figure with its bound, its unit, and what was run."""
    ordinary_password(server)
    set_up(server)
    fill()
    from django.db.models import Sum
    from django.test import Client
    from shop.models import Order, Product

    session = Session(Options(root=SHOP))
    client, other = Client(), Client()
    one: Any
    found: dict[str, tuple[float, float, str, str]] = {}

    def order() -> Any:
        return client.post("/orders/", {"sku": "a", "n": 1})

    def books() -> None:
        sold = Order.objects.aggregate(n=Sum("quantity"))["n"] or 0
        assert Product.objects.get(sku="a").stock + sold == STOCK

    def keyed() -> Any:
        return client.post("/orders/keyed/", {"sku": "a", "n": 1, "key": "k"})

    one = per_case(session, order, None, rounds)
    found["a cut case / the request alone, CPU"] = (one["ratio"], 2.5, "x", one["said"])
    one = per_case(session, order, books, rounds)
    found["the same with an invariant"] = (one["ratio"], 2.5, "x", one["said"])
    # No plain requests before it: its key is free only once.
    from lab.application.cuts import every_cut

    walls = []
    for _ in range(rounds):
        begun = time.perf_counter()
        line = every_cut(session, keyed).line
        walls.append(time.perf_counter() - begun)
    found["a view of 8 statements under all its cuts, wall"] = (min(walls), 2.0, "s", line)
    one = per_order(session, [order, lambda: other.post("/orders/", {"sku": "a", "n": 1})], rounds)
    found["an order of two / two plain requests, CPU"] = (one["ratio"], 2.2, "x", one["said"])
    found["restore of 4 touched tables among 200, wall"] = (restore(rounds), 20.0, "ms", "")
    found["loading the plugin, wall"] = (import_ms(rounds), 30.0, "ms", "")
    session.close()
    return found


if __name__ == "__main__":
    main()
