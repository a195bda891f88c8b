"""`manage.py check --deploy --tag database` in a project that has the app."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fix_cli import ROOT, caller_environ

SHOP = """
SECRET_KEY = "x" * 60
INSTALLED_APPS = ["connection_lab"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", %s}}
"""
GUARDED = (
    '{"connect_timeout": 3, "keepalives": 1, "keepalives_idle": 2, "tcp_user_timeout": 5000, '
    '"options": "-c idle_in_transaction_session_timeout=60000"}'
)


def manage(tmp_path: Path, database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "shop.py").write_text(SHOP % database)
    program = "import sys; from django.core.management import execute_from_command_line as run; run(sys.argv)"
    return subprocess.run(
        [sys.executable, "-P", "-c", program, "check", *arguments],
        cwd=tmp_path,
        env={
            **caller_environ(),
            "DJANGO_SETTINGS_MODULE": "shop",
            "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def ids(done: subprocess.CompletedProcess[str]) -> set[str]:
    return set(re.findall(r"connection_lab\.(\w+)", done.stderr))


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        ('"CONN_MAX_AGE": 0', {"W003", "W004", "I003"}),
        ('"CONN_MAX_AGE": None', {"W001", "W003", "W004", "W005", "I001", "I002", "I003", "I004"}),
        (f'"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, "OPTIONS": {GUARDED}', {"I001", "I002", "I003", "I004"}),
        ('"OPTIONS": {"pool": True, "connect_timeout": 3}', {"W002", "W004", "I001", "I002", "I003"}),
        ('"HOST": "/run/postgresql", "OPTIONS": {"connect_timeout": 3}', {"I003"}),
        ('"CONN_MAX_AGE": "60"', {"E001", "W001", "W003", "W004", "W005", "I001", "I002", "I003", "I004"}),
        ('"OPTIONS": {"connect_timeout": 3, "keepalives_idle": 2}, "DISABLE_SERVER_SIDE_CURSORS": True', {"W004"}),
    ],
)
def test_each_is_about_what_the_settings_say(tmp_path: Path, database: str, expected: set[str]) -> None:
    done = manage(tmp_path, database, "--deploy", "--tag", "database")
    assert ids(done) == expected, done.stderr
    assert done.returncode == ("E001" in expected)
    if expected & {"W001", "W003"}:
        assert "lab advise --settings shop --promise" in done.stderr
        assert "HINT" in done.stderr


def test_only_a_deployment_is_checked_and_only_postgresql(tmp_path: Path) -> None:
    assert ids(manage(tmp_path, '"CONN_MAX_AGE": None')) == set()
    sqlite = '"CONN_MAX_AGE": None}, "other": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"'
    told = manage(tmp_path, sqlite, "--deploy", "--tag", "database").stderr
    assert "DATABASES['default']" in told
    assert "DATABASES['other']" not in told
