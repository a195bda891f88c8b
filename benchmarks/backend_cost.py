"""What each backend costs per request, without HTTP: Django's WSGI handler called in process, ratios side by side.

    python benchmarks/backend_cost.py [--driver psycopg] [--rounds 15] [--requests 300] [--json FILE]

Each variant has a process of its own; they take turns, round by round, so that a noisy machine is noisy to all. The
page makes three small selects through the ORM. "floor" is the same three statements by a bare driver on one connection.
`cpu` is the client process's own time: the one figure that other load on the machine hardly moves.
"""

# ruff: noqa: PLC0415  # a child imports what its variant needs, after the driver was chosen

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STOCK = "django.db.backends.postgresql"
BASE = "CONN_MAX_AGE=None"
WARM_UP = 100


@dataclass
class Variant:
    """One configuration, and what was measured of it: microseconds per request."""

    name: str
    engine: str
    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    drivers: tuple[str, ...] = ("psycopg2", "psycopg")
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    child: subprocess.Popen[str] | None = None


def variants() -> list[Variant]:
    """In the order of the table."""
    core = "backend_under_test.persistent_"
    kept = {"CONN_MAX_AGE": None}
    return [
        Variant("floor (bare driver)", ""),
        Variant(BASE, STOCK, kept),
        Variant("CONN_HEALTH_CHECKS", STOCK, {**kept, "CONN_HEALTH_CHECKS": True}),
        Variant("connection per request", STOCK, {"CONN_MAX_AGE": 0}),
        Variant("Django's pool", STOCK, options={"pool": {"min_size": 1, "max_size": 2}}, drivers=("psycopg",)),
        Variant("published_global", "backend_under_test.published_global", drivers=("psycopg2",)),
        Variant("published_threadlocal", "backend_under_test.published_threadlocal", drivers=("psycopg2",)),
        Variant("persistent_global", f"{core}global"),
        Variant("persistent_threadlocal", f"{core}threadlocal"),
        Variant("persistent_threadlocal, reset off", f"{core}threadlocal", options={"persistent": {"reset": False}}),
    ]


def measure(chosen: list[Variant], driver: str, requests: int, rounds: int, environ: dict[str, str]) -> None:
    """Let them take turns."""
    for variant in chosen:
        told = json.dumps([driver, variant.engine, variant.settings, variant.options, requests])
        variant.child = subprocess.Popen(
            [sys.executable, __file__, "--child", told],
            env={**os.environ, **environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    for _ in range(rounds):
        for variant in chosen:
            child = variant.child
            assert child is not None
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write("go\n")
            child.stdin.flush()
            wall, cpu = map(float, child.stdout.readline().split())
            variant.wall.append(wall)
            variant.cpu.append(cpu)
    for variant in chosen:
        assert variant.child is not None
        variant.child.communicate()


def table(chosen: list[Variant]) -> list[dict[str, Any]]:
    """Print it, and return it for JSON."""
    base = next(each for each in chosen if each.name == BASE)
    rows = []
    print(f"{'variant':36} {'wall µs':>8} {'cpu µs':>8} {'× wall':>7} {'× wall, best':>12} {'× cpu':>7}")
    for each in chosen:
        row = {
            "variant": each.name,
            "wall_us": statistics.median(each.wall),
            "cpu_us": statistics.median(each.cpu),
            # Round by round, because the machine's mood changes from one to the next.
            "speed_wall": statistics.median(ours / its for ours, its in zip(base.wall, each.wall, strict=True)),
            "speed_wall_best": min(base.wall) / min(each.wall),
            "speed_cpu": statistics.median(ours / its for ours, its in zip(base.cpu, each.cpu, strict=True)),
        }
        rows.append(row)
        print(
            f"{row['variant']:36} {row['wall_us']:8.0f} {row['cpu_us']:8.0f} {row['speed_wall']:7.3f} "
            f"{row['speed_wall_best']:12.3f} {row['speed_cpu']:7.3f}"
        )
    return rows


def child(driver: str, engine: str, settings_of: dict[str, Any], options: dict[str, Any], requests: int) -> None:
    """One variant: a round for each line on stdin."""
    one = _page(driver, engine, settings_of, options) if engine else _floor(driver)
    for _ in range(WARM_UP):
        one()
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(requests):
            one()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(wall / requests * 1e6, cpu / requests * 1e6, flush=True)


SELECT = "SELECT id, app_label, model FROM django_content_type WHERE app_label = 'x' LIMIT 5"


def _floor(driver: str) -> Any:
    if driver == "psycopg2":
        import psycopg2

        connection: Any = psycopg2.connect("")
        connection.autocommit = True
    else:
        import psycopg

        connection = psycopg.connect("", autocommit=True)

    def one() -> None:
        for _ in range(3):
            with connection.cursor() as cursor:
                cursor.execute(SELECT)
                cursor.fetchall()

    return one


def _page(driver: str, engine: str, settings_of: dict[str, Any], options: dict[str, Any]) -> Any:
    if driver == "psycopg2":
        sys.modules["psycopg"] = None  # type: ignore[assignment]  # Django prefers it where it can be imported
    import django
    from django.conf import settings

    names = {"NAME": "PGDATABASE", "USER": "PGUSER", "PASSWORD": "PGPASSWORD", "HOST": "PGHOST", "PORT": "PGPORT"}
    where = {key: os.environ[name] for key, name in names.items()}
    settings.configure(
        DATABASES={"default": {"ENGINE": engine, **where, **settings_of, "OPTIONS": options}},
        USE_TZ=True,
        ROOT_URLCONF="__main__",
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="-",
        MIDDLEWARE=[],
        INSTALLED_APPS=["django.contrib.contenttypes"],
        LOGGING_CONFIG=None,
    )
    django.setup()
    from django.contrib.contenttypes.models import ContentType
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest, HttpResponse
    from django.test import RequestFactory
    from django.urls import path

    def page(_: HttpRequest) -> HttpResponse:
        found = [len(ContentType.objects.filter(app_label="x")[:5]) for _ in range(3)]
        return HttpResponse(str(found))

    sys.modules["__main__"].urlpatterns = [path("", page)]  # type: ignore[attr-defined]
    application: Any = get_wsgi_application()
    environ = RequestFactory().get("/").environ

    def one() -> None:
        response: Any = application(dict(environ), lambda *_: None)
        response.close()
        assert response.status_code == 200

    return one


def main() -> None:
    """Start a server, let the variants take turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", choices=["psycopg2", "psycopg", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=300, help="per round and variant")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(*json.loads(given.child))
        return
    sys.path.insert(0, str(ROOT))
    from lab.rig.rig import Rig

    results = {}
    with Rig() as rig:
        control = rig.control()
        control.execute("CREATE DATABASE backend_cost")
        where = rig.postgres.parameters(dbname="backend_cost")
        environ = {f"PG{key.upper()}": str(where[key]) for key in ("host", "port", "user", "password", "sslmode")}
        environ |= {"PGDATABASE": "backend_cost", "PGGSSENCMODE": "disable"}
        with rig.postgres.connect("backend_cost") as connection:
            connection.execute("CREATE TABLE django_content_type (id serial, app_label text, model text)")
        for driver in ("psycopg2", "psycopg") if given.driver == "both" else (given.driver,):
            chosen = [each for each in variants() if driver in each.drivers]
            measure(chosen, driver, given.requests, given.rounds, environ)
            print(f"\n{driver}")
            results[driver] = table(chosen)
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
