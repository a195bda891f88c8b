"""Pool libraries of the index, pinned, each with its defaults under a thin ENGINE of tests/projects/public/pools.

What each breaks is in the table of docs/public-projects.md, and each broken cell replays.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import pytest

from fix_cli import ROOT
from lab.check.check import Options, check
from lab.check.replay import replay
from lab.cli.options import variants_of
from lab.pytest_plugin.session import Lab as LabSession
from lab.records.codec import decode_plan
from lab.records.variant import Driver
from lab.records.verdict import Verdict
from lab.rig.machine.environments import install
from lab.store import Store
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.nightly]
ENGINES = ROOT / "tests" / "projects" / "public"
WANTED = (
    *("django==5.2.19", "sqlalchemy==2.1.9", "DBUtils==3.2.0"),
    *("psycopg2-binary==2.9.13", "psycopg[binary,pool]==3.3.9", "psycopg_pool==3.3.3"),
)
PROMISES = (
    *("reuses", "replaces-stale", "bounded-sessions", "isolated-threads", "clean-session", "exactly-once", "atomic"),
)
TIMES = 3
OF_DJANGO = {
    "atomic": {"close() inside", "statement error swallowed"},
    "bounded-sessions": {
        *("threads that end, in a request", "threads that end, in atomic()"),
        *("a thread that ends", "in an executor's thread", "a process killed, mid-query"),
    },
    "clean-session": {"Django's wrapper: execution", "Django's wrapper: needs_rollback"},
    "replaces-stale": {"in a command", "in an executor's thread"},
}
"""Moments that stock Django does not keep either."""


class Library(NamedTuple):
    """An ENGINE, and beyond Django's own limits a moment of each promise that it breaks; promises that do not apply."""

    engine: str
    driver: Driver
    broken: dict[str, str]
    none: tuple[str, ...] = ()


LIBRARIES = (
    Library("sqlalchemy_queue", "psycopg2", {"replaces-stale": "FIN, query first", "clean-session": "SET"}),
    Library("dbutils_pooled", "psycopg2", {"replaces-stale": "FIN, query first", "clean-session": "SET"}),
    Library(
        "dbutils_steady",
        "psycopg2",
        {
            "atomic": "error swallowed",
            "exactly-once": "INSERT, answer lost",
            "bounded-sessions": "threads that take turns",
            "replaces-stale": "FIN, AUTOCOMMIT=False",
            "clean-session": "SET",
        },
    ),
    Library("null_pool", "psycopg", {}, ("replaces-stale", "reuses")),
)


def _executable() -> str:
    what = hashlib.sha256("\n".join(WANTED).encode()).hexdigest()[:12]
    return install(f"environment-pools-{what}", "3.13", WANTED)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.engine)
def test_a_pool_library_breaks_what_its_defaults_leave_open(lab: LabSession, tmp_path: Path, library: Library) -> None:
    engine = f"pools.{library.engine}"
    (variant,) = variants_of([engine], path=[str(ENGINES)], python=_executable(), driver=library.driver)
    options = Options(promises=PROMISES, search=0.0, cuts=False, brief=False)
    (result,) = check([variant], lab.rig(), options, Store(tmp_path / "store"))
    said = {name: (each.verdict, each.summary) for name, each in result.promises.items()}
    assert Verdict.UNKNOWN not in [each.verdict for each in result.promises.values()], said
    assert {name for name, each in result.promises.items() if each.verdict is Verdict.NA} == set(library.none), said
    own = {
        name: {moment for moment, verdict in each.moments.items() if verdict is Verdict.BROKEN}
        - OF_DJANGO.get(name, set())
        for name, each in result.promises.items()
    }
    assert {name for name, moments in own.items() if moments} == set(library.broken), own
    for name, moment in library.broken.items():
        assert moment in own[name], own[name]
    zygote = Zygote(variant, lab.rig().folder, lab.rig().environ())
    try:
        for name in library.broken:
            path = result.promises[name].evidence[0]
            plan = decode_plan(Path(path).read_bytes(), path)
            if plan.variant == variant:
                replays = replay(plan, lab.rig(), zygote, TIMES)
                assert replays.agreeing == TIMES, (name, replays.verdicts(), replays.void)
    finally:
        zygote.close()
