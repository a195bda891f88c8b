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
    server = rig.postgres.parameters(dbname=database)
    environ = {
        **os.environ,
        "PGHOST": server["host"],
        "PGPORT": str(server["port"]),
        "PGUSER": server["user"],
        "PGPASSWORD": server["password"],
        "PGDATABASE": database,
        "STORY_ROLE": ROLE,
        "PYTHONPATH": str(PROGRAM.parents[2]),
    }
    with rig.shared():
        told = subprocess.run(
            [sys.executable, str(PROGRAM), driver, engine],
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    control.execute(f"DROP DATABASE {database} WITH (FORCE)".encode())
    assert told.returncode == 0, told.stderr
    results: dict[str, str] = json.loads(told.stdout)
    return results


@pytest.mark.parametrize("engine", ["global", "threadlocal"])
@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
@pytest.mark.parametrize("story", NAMES)
def test_story(story: str, driver: str, engine: str, rig: Rig) -> None:
    assert _told(rig, driver, engine)[story] == "ok"
