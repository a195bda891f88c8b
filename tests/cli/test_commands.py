from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fix_cli import ROOT, Lab, caller_environ
from lab.fault import FAULTS
from lab.promise import PROMISES


@pytest.mark.parametrize("what", ["variants", "promises", "faults", "steps", "situations"])
def test_list_is_made_from_the_code(lab_inside: Lab, what: str) -> None:
    done = lab_inside("list", what)
    assert (done.returncode, done.stderr) == (0, "")
    expected = {
        "faults": list(FAULTS),
        "promises": list(PROMISES),
        "variants": ["published_global"],
        "steps": ["begin"],
        "situations": ["autocommit", "nested", "replaced", "then: autocommit; committed; rolled"],
    }
    for name in expected[what]:
        assert f" {name} " in done.stdout


def test_no_command_shows_what_there_is(lab_inside: Lab) -> None:
    done = lab_inside()
    assert done.returncode == 254
    assert "check" in done.stdout + done.stderr


@pytest.mark.slow
def test_bug_of_the_lab_is_one_line_and_a_file(tmp_path: Path) -> None:
    program = (
        "import lab.check.variants as v; v.rows = lambda: 1 / 0; from lab.cli import main; main(['list', 'variants'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT), "LAB_STORE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 255
    (line,) = done.stderr.splitlines()
    assert "ZeroDivisionError at <string>:1: " in line
    (crash,) = tmp_path.glob("crash-*.txt")
    assert str(crash) in line
    assert "Traceback" in crash.read_text()


@pytest.mark.chaos
@pytest.mark.slow
def test_doctor_starts_the_servers_once(lab_command: Lab) -> None:
    done = lab_command("doctor")
    assert done.returncode == 0, done.stdout
    assert "servers ready after" in done.stdout


@pytest.mark.chaos
@pytest.mark.slow
def test_servers_start_where_the_standard_files_are_closed(tmp_path: Path) -> None:
    """Another file of the lab's must not get their numbers: the guardian took its own output for the lab's end."""
    for closed in (">&-", "<&- >&- 2>&-"):
        doctor = [sys.executable, "-m", "lab.cli", "doctor"]
        environ = {**caller_environ(), "PYTHONPATH": str(ROOT), "LAB_STORE": str(tmp_path / "store")}
        done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *doctor], env=environ, check=False)
        assert done.returncode == 0, closed


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.nightly
def test_check_judges_an_engine_that_claims_everything(lab_command: Lab, tmp_path: Path) -> None:
    """Stock Django kept for ever, under its ENGINE's name: it reuses, and it does not replace what died."""
    done = lab_command(
        "check", "django.db.backends.postgresql", "--setting", "CONN_MAX_AGE=null", "--promise", "reuses",
        "--promise", "replaces-stale", "--seed", "7", "--json", "out.json", "--claim", "strict",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "what to change: lab advise django.db.backends.postgresql --setting=CONN_MAX_AGE=null\n" in done.stdout
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["variant"]["settings"] == {"CONN_MAX_AGE": None}
    assert (document["verdict"], document["seed"]) == ("broken", 7)
    assert set(document["promises"]) == {"reuses", "replaces-stale"}
    assert document["promises"]["reuses"]["verdict"] == "kept"
    stale = document["promises"]["replaces-stale"]
    assert (stale["verdict"], stale["claimed"]) == ("broken", True)

    folder = tmp_path / "store" / "django.db.backends.postgresql" / "latest"
    assert json.loads((folder / "verdicts.json").read_text()) == document
    assert (tmp_path / "store" / "latest").resolve() == folder.resolve()

    again = lab_command("replay", stale["evidence"][0], "--times", "3")
    assert again.returncode == 1, again.stderr
    assert "3 of 3 runs show what the plan expects" in again.stdout
    other = lab_command("replay", stale["evidence"][0], "--variant", "django_health_checks")
    assert other.returncode == 0, other.stdout


@pytest.mark.chaos
@pytest.mark.slow
def test_matrix_marks_claims_and_writes_a_page(lab_command: Lab, tmp_path: Path) -> None:
    done = lab_command(
        "matrix",
        "django_per_request",
        "django_persistent",
        "--promise",
        "reuses",
        "--json",
        "m.json",
        "--html",
        "m.html",
    )
    assert done.returncode == 0, done.stderr
    assert "✓ kept" in done.stdout
    assert "– n/a" in done.stdout
    assert [each["variant"]["name"] for each in json.loads((tmp_path / "m.json").read_text())["variants"]] == [
        "django_per_request",
        "django_persistent",
    ]
    assert "django_persistent" in (tmp_path / "m.html").read_text()


@pytest.mark.chaos
@pytest.mark.slow
def test_spent_budget_is_unknown(lab_command: Lab, tmp_path: Path) -> None:
    told = tmp_path / "result.json"
    done = lab_command("check", "django_persistent", "--promise", "reuses", "--budget", "0", "--json", str(told))
    assert done.returncode == 2, done.stdout
    assert "the budget was spent" in json.loads(told.read_text())["promises"]["reuses"]["summary"]


@pytest.mark.chaos
@pytest.mark.slow
def test_settings_of_a_real_project_are_judged_as_they_are(lab_command: Lab, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "settings.py").write_text(
        "DATABASES = {'other': {'ENGINE': 'django.db.backends.postgresql', 'CONN_MAX_AGE': 600, 'HOST': 'db.test',"
        " 'PASSWORD': 'secret', 'OPTIONS': {'sslmode': 'verify-full', 'connect_timeout': 5}}}"
    )
    done = lab_command(
        "check", "--settings", "project.settings", "--alias", "other", "--promise", "reuses",
        "--json", "out.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    variant = json.loads((tmp_path / "out.json").read_text())["variant"]
    assert variant["engine"] == "django.db.backends.postgresql"
    assert variant["settings"]["CONN_MAX_AGE"] == 600
    assert variant["options"] == {"connect_timeout": 5}
    assert "secret" not in (tmp_path / "out.json").read_text()


@pytest.mark.chaos
@pytest.mark.slow
def test_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    child = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "lab.cli", "check", "published_global"],  # `&` ignores it
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    assert "plans" in child.stderr.readline()
    child.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in errors
    assert time.monotonic() - begun < 10
