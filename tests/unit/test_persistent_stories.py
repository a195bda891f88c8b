"""Both persistent backends, with both drivers, against a server: each story of persistent_story.py in its own words."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from lab.rig.embedded.rig import Rig

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("persistent_story.py")
NAMES = re.findall(r"^    (\w+),$", PROGRAM.read_text().split("STORIES: ")[1], re.MULTILINE)
DATABASE, ROLE = "persistent_story", "lab_other"


@cache
def _told(rig: Rig, driver: str, engine: str) -> dict[str, str]:
    """All stories in one process: starting Django takes longer than most of them."""
    control = rig.control()
    database = f"{DATABASE}_{driver}_{engine}"
    control.execute(f"DROP DATABASE IF EXISTS {database}".encode())
    control.execute(f"CREATE DATABASE {database}".encode())
    told = _run(rig, PROGRAM, driver, engine, database)
    control.execute(f"DROP DATABASE {database} WITH (FORCE)".encode())
    results: dict[str, str] = json.loads(told)
    return results


def _run(rig: Rig, program: Path, driver: str, engine: str, database: str | None = None) -> str:
    server = rig.postgres.parameters(dbname=database) if database else rig.postgres.parameters()
    environ = {
        **os.environ,
        "PGHOST": server["host"],
        "PGPORT": str(server["port"]),
        "PGUSER": server["user"],
        "PGPASSWORD": server["password"],
        "PGDATABASE": server["dbname"],
        "STORY_ROLE": ROLE,
        "PYTHONPATH": str(PROGRAM.parents[2]),
    }
    with rig.shared():
        told = subprocess.run(
            [sys.executable, str(program), driver, engine],
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert told.returncode == 0, told.stderr
    return told.stdout


@pytest.mark.parametrize("engine", ["global", "threadlocal"])
@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
@pytest.mark.parametrize("story", NAMES)
def test_story(story: str, driver: str, engine: str, rig: Rig) -> None:
    assert _told(rig, driver, engine)[story] == "ok"


@pytest.mark.parametrize("engine", ["global", "threadlocal"])
@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_greenlets_have_deadlines_and_reuse_sessions(driver: str, engine: str, rig: Rig) -> None:
    seen = json.loads(_run(rig, PROGRAM.with_name("persistent_greenlets.py"), driver, engine))
    assert "query_deadline" in seen["given_up"]
    assert seen["took"] < 8
    assert len(set(seen["in_turn"])) == 1
