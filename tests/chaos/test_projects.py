"""Projects as others write them, below tests/projects: judged as they are, or refused in one line within seconds."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from fix_cli import Lab

PROJECTS = Path(__file__).resolve().parents[1] / "projects"
STOCK = "django.db.backends.postgresql"
pytestmark = [pytest.mark.chaos, pytest.mark.slow]


class Judged:
    """A finished check: its exit status, its output, and the document that it wrote."""

    def __init__(self, done: subprocess.CompletedProcess[str], path: Path) -> None:
        assert done.returncode in (0, 1, 2), done
        self.status = done.returncode
        self.output = done.stdout
        self.document: dict[str, Any] = json.loads(path.read_text())
        self.variant: dict[str, Any] = self.document["variant"]
        self.promises: dict[str, Any] = self.document["promises"]
        self.notes: list[str] = self.variant["notes"]

    def verdict(self, promise: str) -> str:
        return str(self.promises[promise]["verdict"])


@pytest.fixture
def judge(lab_command: Lab, tmp_path: Path) -> Any:
    """`judge("own_host", "--settings", …)`: a check of that project, with a budget that leaves out the search."""

    def run(project: str, *arguments: str, budget: int = 9, cwd: Path = tmp_path, **environ: str) -> Judged:
        document = tmp_path / "out.json"
        flags = ("--path", str(PROJECTS / project), "--budget", str(budget), "--json", str(document))
        return Judged(lab_command("check", *arguments, *flags, cwd=cwd, **environ), document)

    return run


@pytest.fixture
def refuse(lab_command: Lab) -> Any:
    """`refuse("own_host", …)`: the one line with which a check ends, 254."""

    def run(project: str, *arguments: str, **environ: str) -> str:
        done = lab_command("check", *arguments, "--path", str(PROJECTS / project), **environ)
        assert done.returncode == 254, done
        assert "Traceback" not in done.stdout + done.stderr
        return done.stderr.splitlines()[-1]

    return run


# -- as it is ---------------------------------------------------------------------------------------------------------


def test_a_project_whose_package_has_a_name_of_the_labs(judge: Any) -> None:
    judged = judge("config_name_taken", "--settings", "config.settings.production", "--promise", "reuses")
    assert (judged.status, judged.verdict("reuses")) == (0, "kept")


@pytest.mark.parametrize("name", ["actor", "agent", "chain", "lab", "tests", "faults", "guard", "start", "attempts"])
def test_a_package_of_any_name_is_the_projects(judge: Any, tmp_path: Path, name: str) -> None:
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("OWN = 600\n")
    (package / "production.py").write_text(
        f"from {name} import OWN\n"
        f"DATABASES = {{'default': {{'ENGINE': '{STOCK}', 'NAME': 'x', 'CONN_MAX_AGE': OWN}}}}\n"
    )
    judged = judge("config_name_taken", "--settings", f"{name}.production", "--promise", "steady-session", budget=5)
    assert judged.variant["settings"]["CONN_MAX_AGE"] == 600


def test_the_driver_is_the_one_that_django_chooses(judge: Any) -> None:
    judged = judge("driver_default", "--settings", "pool_settings", "--promise", "reuses")
    assert judged.variant["driver"] == "psycopg"
    assert (judged.status, judged.verdict("reuses")) == (0, "kept")


def test_what_an_apps_ready_patches_is_in_force_and_named(judge: Any) -> None:
    judged = judge("ready_ignored", "--settings", "hook_settings", "--promise", "recovers")
    assert (judged.status, judged.verdict("recovers")) == (1, "broken")
    assert any("close() was replaced by hookapp.apps" in note for note in judged.notes)
    errors = judged.promises["recovers"]["errors"].values()
    assert any("hookapp patched close()" in error for error in errors)


def test_bare_leaves_the_apps_out_and_says_so(judge: Any) -> None:
    judged = judge("ready_ignored", "--settings", "hook_settings", "--bare", "--promise", "reuses")
    assert judged.verdict("reuses") == "kept"
    assert any("--bare" in note for note in judged.notes)


def test_an_engine_reads_the_projects_settings(judge: Any) -> None:
    judged = judge("own_settings_ignored", "--settings", "project_settings", "--promise", "recovers")
    assert (judged.status, judged.verdict("recovers")) == (1, "broken")
    assert any("leaky.base is in use" in error for error in judged.promises["recovers"]["errors"].values())
    strict = judge("own_settings_ignored", "--settings", "strict_settings", "--promise", "reuses")
    assert (strict.status, strict.verdict("reuses")) == (0, "kept")


def test_settings_that_are_looked_at_while_they_are_imported(judge: Any) -> None:
    environ = {"DJANGO_SETTINGS_MODULE": "touched_settings"}
    judged = judge("settings_touched", "--settings", "touched_settings", "--promise", "reuses", **environ)
    assert (judged.status, judged.verdict("reuses")) == (0, "kept")


def test_an_app_a_router_hosts_and_tls_are_used_or_named(judge: Any) -> None:
    judged = judge("settings_app", "--settings", "shop.settings", "--promise", "isolated-threads")
    assert judged.status == 1  # its receiver makes every second session wait: two requests at once are one too many
    notes = "\n".join(judged.notes)
    for what in ("HOST, PORT", "sslmode", "sslrootcert", "DATABASE_ROUTERS", "DATABASES['replica']"):
        assert what in notes
        assert what in judged.output
    options = judged.variant["options"]
    assert options["target_session_attrs"] == "read-write"
    assert "statement_timeout=15000" in options["options"]


def test_a_pool_of_django_is_judged_callables_and_all(judge: Any) -> None:
    for module in ("plainpool", "poolsettings"):
        judged = judge("pool_settings", "--settings", module, "--promise", "fork-safe")
        assert judged.verdict("fork-safe") == "broken"
        assert judged.variant["driver"] == "psycopg"
    pool = judged.variant["options"]["pool"]
    assert pool["check"] == "psycopg_pool.pool.ConnectionPool.check_connection"
    assert pool["max_lifetime"] == 1800


def test_a_value_that_is_no_json_hides_no_other(judge: Any) -> None:
    judged = judge("pool_callable", "--settings", "pool_settings", "--driver", "psycopg", "--promise", "reuses")
    options = judged.variant["options"]
    assert options["connect_timeout"] == 3
    assert options["pool"] == {"min_size": 2, "max_size": 4, "timeout": 5, "reconnect_failed": "pool_settings.lost"}


def test_requests_are_atomic_where_the_handler_makes_them_so(judge: Any) -> None:
    judged = judge("atomic_requests", "--settings", "ar_settings", "--promise", "recovers", budget=20)
    moments = judged.promises["recovers"]["moments"]
    assert moments["at COMMIT"] == "kept"
    plans = [json.loads(line)["record"] for line in _kept(judge)]
    assert plans
    for each in plans:
        steps = [step["do"] for step in each["plan"]["steps"]]
        assert steps.count("enter") >= steps.count("begin"), each["plan"]["title"]


def _kept(judge: Any) -> list[str]:
    document = next(cell.cell_contents for cell in judge.__closure__ if isinstance(cell.cell_contents, Path))
    return [line for path in document.parent.rglob("kept.jsonl") for line in path.read_text().splitlines()]


def test_a_read_only_alias_is_judged_for_what_needs_no_write(judge: Any) -> None:
    promises = ("--promise", "reuses", "--promise", "durable", "--promise", "replaces-stale")
    judged = judge("read_only_alias", "--settings", "ro_settings", "--alias", "replica", *promises, budget=20)
    assert any(note.startswith("read-only") for note in judged.notes)
    assert (judged.verdict("durable"), judged.verdict("reuses")) == ("n/a", "kept")
    assert judged.verdict("replaces-stale") == "kept"
    assert judged.status == 0


def test_without_use_tz_the_lab_sets_no_time_zone(judge: Any) -> None:
    judged = judge("use_tz_false", "--settings", "naive_settings", "--promise", "initialised", budget=20)
    assert judged.verdict("initialised") == "kept"


def test_close_that_calls_djangos_is_not_accused(judge: Any) -> None:
    promises = ("reuses", "replaces-stale", "alias-separate", "commits-on-close")
    flags = [flag for promise in promises for flag in ("--promise", promise)]
    judged = judge("super_close", "supercl", *flags, budget=30)
    assert {promise: judged.verdict(promise) for promise in promises} == {
        "reuses": "n/a",
        "replaces-stale": "n/a",
        "alias-separate": "kept",
        "commits-on-close": "n/a",
    }


# -- whose limit it is ------------------------------------------------------------------------------------------------


def test_a_setting_that_the_lab_adds_decides_nothing(judge: Any) -> None:
    judged = judge(
        "use_tz_false",
        STOCK,
        "--setting",
        "CONN_MAX_AGE=600",
        "--promise",
        "keeps-healthy",
        "--claim",
        "strict",
        budget=20,
    )
    result = judged.promises["keeps-healthy"]
    assert (judged.status, result["verdict"]) == (0, "kept")
    assert result["added"]["statement_timeout, AUTOCOMMIT=False"] == "broken"
    assert "settings that the lab has added would break keeps-healthy" in judged.output


def test_a_stock_project_fails_for_none_of_djangos_limits(judge: Any) -> None:
    promises = ("--promise", "durable", "--promise", "aborts-cleanly", "--promise", "fork-safe")
    judged = judge("use_tz_false", "--settings", "naive_settings", *promises, budget=30)
    assert judged.promises["durable"]["verdict"] == "broken"
    assert judged.status == 0
    (line,) = (line for line in judged.output.splitlines() if line.startswith("limits that Django itself has"))
    assert "durable" in line
    assert "fork-safe" in line


def test_what_is_claimed_can_be_stated(judge: Any, tmp_path: Path) -> None:
    flags = ("--settings", "naive_settings", "--promise", "durable")
    assert judge("use_tz_false", *flags, "--claim", "durable", budget=15).status == 1
    (tmp_path / "pyproject.toml").write_text('[tool.connection-lab]\nclaims = ["durable", "django"]\n')
    assert judge("use_tz_false", *flags, budget=15).status == 1


# -- one line, within seconds -----------------------------------------------------------------------------------------


def test_a_host_of_its_own_is_refused(refuse: Any) -> None:
    line = refuse("own_host", "ownhost")
    assert "ENGINE ownhost" in line
    assert "ownhost/base.py" in line
    assert "127.0.0.1:55999" in line


@pytest.mark.parametrize(("project", "engine"), [("own_password", "ownpw"), ("token_once", "iam")])
def test_a_password_of_its_own_is_told_in_the_drivers_words(refuse: Any, judge: Any, project: str, engine: str) -> None:
    begun = time.monotonic()
    line = refuse(project, engine, "--promise", "reuses", "--promise", "recovers")
    assert time.monotonic() - begun < 20
    assert "password authentication failed" in line
    assert "--any-password" in line
    judged = judge(project, engine, "--any-password", "--promise", "isolated-threads")
    assert judged.verdict("isolated-threads") == "kept"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise SystemExit(3)", ["does not import", "SystemExit"]),
        ("import os\nos.environ['SHOP_SECRET']", ["KeyError", "SHOP_SECRET"]),
        ("DATABASES = {}", ["no database 'default'"]),
        ("DATABASES = {'default': {'ENGINE': 'django.db.backends.mysql', 'NAME': 'x'}}", ["another database"]),
        ("DATABASES = {'default': {'ENGINE': 'sqlite3', 'NAME': 'x'}}", ["another database"]),
        ("INSTALLED_APPS = ['no_such_app']\n", ["apps of", "no_such_app"]),
        ("DATABASE_ROUTERS = ['no.Router']\n", ["apps of", "No module named 'no'"]),
        ("CONN = '600'", ["CONN_MAX_AGE", "'600'"]),
        ("import ctypes\nctypes.CDLL('libgdal-that-is-not-there.so')", ["libgdal-that-is-not-there"]),
        ("import os\nos._exit(7)", ["ended before"]),
        ("import time\ntime.sleep(60)", ["still importing", "LAB_IMPORT_TIMEOUT"]),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_settings_module_that_cannot_be_used(lab_command: Lab, tmp_path: Path, text: str, said: list[str]) -> None:
    databases = f"DATABASES = {{'default': {{'ENGINE': '{STOCK}', 'NAME': 'x', 'CONN_MAX_AGE': CONN}}}}\n"
    (tmp_path / "broken_settings.py").write_text(f"CONN = 0\n{text}\n" + ("" if "DATABASES =" in text else databases))
    done = lab_command("check", "--settings", "broken_settings", LAB_IMPORT_TIMEOUT="4")
    assert done.returncode == 254, done
    line = done.stderr.splitlines()[-1]
    assert line.startswith("lab: ")
    for part in said:
        assert part in line
