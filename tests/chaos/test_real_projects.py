"""Projects as others write them, below tests/projects: judged as they are, or refused in one line within seconds."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fix_cli import Lab
from lab.check.check import Options, check
from lab.check.claims import from_project
from lab.check.fit import fitted
from lab.check.subjects import subjects
from lab.cli.options import variants_of
from lab.errors import ServesNothing, UnknownName
from lab.explore.cuts import Cuts
from lab.explore.engine import Target
from lab.explore.search import search
from lab.promise import PROMISES
from lab.pytest_plugin.session import Lab as LabSession
from lab.records.plan import Begin, Enter, Plan
from lab.records.result import Result, encode_results, exit_status
from lab.report.terminal import print_result
from lab.store import Store

PROJECTS = Path(__file__).resolve().parents[1] / "projects"
STOCK = "django.db.backends.postgresql"
AWKWARD = ("lazy_mapping", "asks_early")
EARLY = """
from django.apps import AppConfig
INSTALLED_APPS = ["broken_settings.Early"]
class Early(AppConfig):
    name = "broken_settings"
    def ready(self):
        from django.db import connection
        connection.ensure_connection()
"""
ENGINE_POSTGIS = """
GDAL_LIBRARY_PATH = "/nonexistent/libgdal.so"
DATABASES = {'default': {'ENGINE': 'django.contrib.gis.db.backends.postgis', 'NAME': 'x'}}
"""
pytestmark = [pytest.mark.chaos, pytest.mark.slow]


class Judged:
    """A finished check: its exit status, what is printed of it, and its document."""

    def __init__(self, result: Result, folder: Path) -> None:
        out = Console(file=io.StringIO(), width=200)
        print_result(out, result)
        assert isinstance(out.file, io.StringIO)
        self.output = out.file.getvalue()
        self.status = exit_status([result])
        document: dict[str, Any] = json.loads(encode_results([result]))
        self.variant: dict[str, Any] = document["variant"]
        self.promises: dict[str, Any] = document["promises"]
        self.notes: list[str] = self.variant["notes"]
        self.folder = folder

    def evidence(self) -> str:
        """Every run that broke nothing, one on each line."""
        return "".join(path.read_text() for path in sorted(self.folder.rglob("kept.jsonl")))

    def verdict(self, promise: str) -> str:
        return str(self.promises[promise]["verdict"])


Judge = Callable[..., Judged]


@pytest.fixture
def judge(lab: LabSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """`judge("own_host", "reuses recovers", settings="shop")`: the directed plans of these promises on that project.

    `brief`: those that a verdict needs. What each moment shows of stock backends is asked of the bundled ones.
    """

    def run(
        project: str, promises: str, name: str = "", *, claims: tuple[str, ...] = (), brief: bool = True, **given: Any
    ) -> Judged:
        monkeypatch.chdir(tmp_path)
        variants = variants_of([name] if name else None, path=[str(PROJECTS / project)], **given)
        options = Options(promises=tuple(promises.split()), search=0.0, cuts=False, brief=brief, claims=claims)
        (result,) = check(variants, lab.rig(), options, Store(tmp_path / "store"))
        return Judged(result, tmp_path / "store")

    return run


@pytest.fixture
def refuse(lab_on_rig: Lab) -> Any:
    """`refuse("own_host", …)`: the one line with which a check ends, 254."""

    def run(project: str, *arguments: str, **environ: str) -> str:
        done = lab_on_rig("check", *arguments, "--path", str(PROJECTS / project), **environ)
        assert done.returncode == 254, done
        assert "Traceback" not in done.stdout + done.stderr
        return done.stderr.splitlines()[-1]

    return run


# -- as it is ---------------------------------------------------------------------------------------------------------


def test_a_project_whose_package_has_a_name_of_the_labs(judge: Judge) -> None:
    judged = judge("config_name_taken", "reuses", settings="config.settings.production")
    assert (judged.status, judged.verdict("reuses")) == (0, "kept")


@pytest.mark.parametrize(
    "name",
    [
        *("actor", "lab", "tests"),
        *(
            pytest.param(each, marks=pytest.mark.nightly)
            for each in ("agent", "attempts", "chain", "faults", "guard", "start")
        ),
    ],
)
def test_a_package_of_any_name_is_the_projects(lab_command: Lab, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("OWN = 'thirty'\n")
    (tmp_path / name / "production.py").write_text(
        f"from {name} import OWN\n"
        f"DATABASES = {{'default': {{'ENGINE': '{STOCK}', 'NAME': 'x', 'CONN_MAX_AGE': OWN}}}}\n"
    )
    # The installed command, as a person runs it: `python -m` would put this folder before the lab's own packages.
    done = lab_command("check", "--settings", f"{name}.production", safe_path=True)
    assert done.returncode == 254, done
    assert "CONN_MAX_AGE is 'thirty'" in done.stderr  # which only the project's own module says


def test_the_driver_is_the_one_that_django_chooses(judge: Judge) -> None:
    judged = judge("driver_default", "reuses", settings="pool_settings")
    assert judged.variant["driver"] == "psycopg"
    assert (judged.status, judged.verdict("reuses")) == (0, "kept")


def test_what_an_apps_ready_patches_is_in_force_and_named(judge: Judge) -> None:
    judged = judge("ready_ignored", "works-unfaulted", settings="hook_settings")
    assert (judged.status, judged.verdict("works-unfaulted")) == (1, "broken")
    assert any("close() was replaced by hookapp.apps" in note for note in judged.notes)
    assert any("hookapp patched close()" in error for error in judged.promises["works-unfaulted"]["errors"].values())
    assert "hookapp patched close()" in judged.output


def test_bare_leaves_the_apps_out_and_says_so(judge: Judge) -> None:
    judged = judge("ready_ignored", "reuses", settings="hook_settings", bare=True)
    assert judged.verdict("reuses") == "kept"
    assert any("--bare" in note for note in judged.notes)


@pytest.mark.nightly
def test_an_engine_reads_the_projects_settings(judge: Judge) -> None:
    judged = judge("own_settings_ignored", "recovers", settings="project_settings")
    assert (judged.status, judged.verdict("recovers")) == (1, "broken")
    assert any("leaky.base is in use" in error for error in judged.promises["recovers"]["errors"].values())


def test_an_engine_may_refuse_settings_that_it_does_not_know(judge: Judge) -> None:
    strict = judge("own_settings_ignored", "reuses", settings="strict_settings")
    assert (strict.status, strict.verdict("reuses")) == (0, "kept")


def test_settings_that_are_looked_at_while_they_are_imported(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "touched_settings")
    judged = judge("settings_touched", "reuses", settings="touched_settings")
    assert (judged.status, judged.verdict("reuses")) == (0, "kept")


def test_settings_that_keep_a_copy_of_what_is_assigned(lab: LabSession) -> None:
    (variant,) = variants_of(None, path=[str(PROJECTS / "copied_settings")], settings="copied")
    with subjects(lab.rig()) as started:
        (zygote,) = started.start([variant])  # it has served a request, so it was on the lab's server
    assert zygote.traits.keeping.startswith("no session is kept")


def test_an_app_a_router_hosts_and_tls_are_used_or_named(judge: Judge) -> None:
    judged = judge("settings_app", "isolated-threads", settings="shop.settings")
    notes = "\n".join(judged.notes)
    for what in ("HOST, PORT", "sslmode", "sslrootcert", "DATABASE_ROUTERS", "DATABASES['replica']"):
        assert what in notes
        assert what in judged.output
    options = judged.variant["options"]
    assert options["target_session_attrs"] == "read-write"
    assert "statement_timeout=15000" in options["options"]
    # Its receiver makes every second session wait for the first one's lock, until lock_timeout.
    assert "canceling statement due to lock timeout" in judged.evidence()


def test_djangos_own_pool_is_judged(judge: Judge) -> None:
    judged = judge("pool_settings", "fork-safe", settings="plainpool")
    assert judged.verdict("fork-safe") == "broken"
    assert judged.variant["driver"] == "psycopg"


def test_an_option_that_django_itself_refuses_is_told_in_its_words(judge: Judge) -> None:
    """Django 5.2 passes a `check` of its own: the project cannot connect, whatever the lab does."""
    with pytest.raises(ServesNothing, match="multiple values for keyword argument 'check'"):
        judge("pool_settings", "fork-safe", settings="poolsettings")


def test_a_value_that_is_no_json_hides_no_other(judge: Judge) -> None:
    judged = judge("pool_callable", "reuses", settings="pool_settings")
    options = judged.variant["options"]
    assert options["connect_timeout"] == 3
    assert options["pool"] == {"min_size": 2, "max_size": 4, "timeout": 5, "reconnect_failed": "pool_settings.lost"}
    assert judged.verdict("reuses") == "kept"


def test_options_that_name_a_role_a_service_a_file_or_a_class_work_or_are_named(lab: LabSession) -> None:
    project = str(PROJECTS / "odd_options")
    (variant,) = variants_of(None, path=[project], settings="odd_options", driver="psycopg2")
    with subjects(lab.rig()) as started:
        (zygote,) = started.start([variant])  # it has served a request
    notes = "\n".join(zygote.traits.notes)
    assert "service, passfile in OPTIONS: replaced" in notes
    assert "sslmode, sslrootcert, sslcert, sslkey in OPTIONS: replaced" in notes
    assert "OPTIONS['assume_role']: the lab's server has a role 'lab_other'" in notes
    options = zygote.traits.settings["OPTIONS"]
    assert options["cursor_factory"] == "odd_options.Cursor"
    assert options["assume_role"] == "lab_other"


@pytest.mark.nightly
def test_requests_are_atomic_where_the_handler_makes_them_so(judge: Judge) -> None:
    judged = judge("atomic_requests", "recovers honest-error", settings="ar_settings")
    assert judged.promises["recovers"]["moments"]["at COMMIT"] == "kept"
    assert judged.promises["honest-error"]["moments"]["at COMMIT, answer lost"] == "kept"
    records = [json.loads(line)["record"] for line in judged.evidence().splitlines()]
    requests = [record for record in records if record["plan"].get("source") != "probe"]
    assert requests
    for record in requests:
        steps = [step["do"] for step in record["plan"]["steps"]]
        assert steps.count("enter") >= steps.count("begin"), record["plan"]


def test_cuts_and_random_plans_are_atomic_there_too(lab: LabSession, tmp_path: Path) -> None:
    (variant,) = variants_of(None, path=[str(PROJECTS / "atomic_requests")], settings="ar_settings")
    with subjects(lab.rig()) as started:
        (zygote,) = started.start([variant])
        target = Target(variant, lab.rig(), zygote, 10.0)
        cuts = Cuts(windows=("commit",), ways=("fin",))
        plans = [cuts.plan(case, variant, 10.0) for case in cuts.cases(cuts.look(target))]
        drawn: list[Plan] = []
        search(
            *(variant, lab.rig(), zygote),
            seed=1,
            max_examples=6,
            promises=[PROMISES.get("recovers")],
            on_case=lambda record, _: drawn.append(record.plan),
            fit=lambda plan: fitted("", plan, zygote.traits),
        )
    assert plans
    assert drawn
    for plan in (*plans, *drawn):
        begun: set[str] = set()
        for step in plan.steps:
            if isinstance(step, Begin):
                begun.add(step.actor)
            elif getattr(step, "actor", "") in begun:
                assert isinstance(step, Enter), plan.steps  # the first thing that happens in each request
                begun.remove(step.actor)


def test_a_read_only_alias_is_judged_for_what_needs_no_write(judge: Judge) -> None:
    judged = judge(
        "read_only_alias", "reuses durable replaces-stale", settings="ro_settings", alias="replica", brief=False
    )
    assert any(note.startswith("read-only") for note in judged.notes)
    assert (judged.verdict("durable"), judged.verdict("reuses")) == ("n/a", "kept")
    stale = judged.promises["replaces-stale"]["moments"]
    assert stale["terminated, query first"] == stale["FIN, query first"] == "kept"


def test_without_use_tz_the_lab_sets_no_time_zone(judge: Judge) -> None:
    judged = judge("use_tz_false", "initialised", settings="naive_settings", brief=False)
    assert judged.verdict("initialised") == "kept"


def test_close_that_calls_djangos_is_not_accused(judge: Judge) -> None:
    """It is as Django's own backend with a connection per request, in every verdict."""
    promises = "reuses replaces-stale keeps-healthy alias-separate commits-on-close"
    judged, stock = judge("super_close", promises, "supercl"), judge("super_close", promises, "django_per_request")
    assert {promise: judged.verdict(promise) for promise in judged.promises} == {
        promise: stock.verdict(promise) for promise in stock.promises
    }
    assert (judged.verdict("reuses"), judged.verdict("alias-separate")) == ("n/a", "kept")
    assert judged.verdict("commits-on-close") == "n/a"


def test_the_environment_is_the_callers_and_leads_nowhere(lab: LabSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """As platforms give it: PGHOST and its kin are read by the settings, and by an ENGINE with each connection."""
    environ = {"PGHOST": "192.0.2.1", "PGPASSWORD": "s3cret-of-the-shop", "PGSERVICE": "shop", "PWD": "/srv/shop"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    (variant,) = variants_of(None, path=[str(PROJECTS / "platform_settings")], settings="platform_settings")
    with subjects(lab.rig()) as started:
        (zygote,) = started.start([variant])  # it has served a request, so it was on the lab's server
    notes = "\n".join(zygote.traits.notes)
    assert "PGHOST, PGPASSWORD, PGSERVICE of the environment: for the settings to read" in notes
    assert "HOST, NAME, PASSWORD: replaced" in notes
    assert "s3cret-of-the-shop" in zygote.secrets
    assert "/srv/shop" not in zygote.secrets  # a folder, whatever its variable is called


def test_awkward_settings_are_judged_and_what_is_lost_of_them_is_named(lab: LabSession) -> None:
    variants = [variants_of(None, path=[str(PROJECTS / "awkward")], settings=name)[0] for name in AWKWARD]
    with subjects(lab.rig()) as started:
        mapping, early = started.start(variants)  # each has served a request
    assert mapping.traits.conn_max_age == 1
    assert mapping.traits.keeping.startswith("one session per thread")
    assert any("role in OPTIONS['options']" in note for note in mapping.traits.notes)
    assert "pa55-of-the-shop" in mapping.secrets  # no text of an exception's may repeat it
    assert any("asked for while it loaded" in note for note in early.traits.notes)
    assert any(note.startswith("threads that were started while it loaded (rates)") for note in early.traits.notes)


# -- whose limit it is ------------------------------------------------------------------------------------------------


def test_a_setting_that_the_lab_adds_decides_nothing(judge: Judge) -> None:
    judged = judge("use_tz_false", "keeps-healthy", STOCK, claims=("strict",), setting=["CONN_MAX_AGE=600"])
    result = judged.promises["keeps-healthy"]
    assert (judged.status, result["verdict"]) == (0, "kept")
    assert result["added"]["statement_timeout, AUTOCOMMIT=False"] == "broken"
    assert "settings that the lab has added would break keeps-healthy" in judged.output


def test_a_stock_project_fails_for_none_of_djangos_limits(judge: Judge) -> None:
    judged = judge("use_tz_false", "durable aborts-cleanly", settings="naive_settings")
    assert judged.verdict("durable") == "broken"
    assert judged.status == 0
    (line,) = (line for line in judged.output.splitlines() if line.startswith("limits that Django itself has"))
    assert "durable" in line


def test_what_is_claimed_can_be_stated(judge: Judge, tmp_path: Path) -> None:
    judged = judge("use_tz_false", "durable", settings="naive_settings", claims=("durable", "django"))
    assert (judged.status, judged.verdict("durable")) == (1, "broken")
    (tmp_path / "pyproject.toml").write_text('[tool.connection-lab]\nclaims = ["durable", "django"]\n')
    assert from_project(tmp_path) == ("durable", "django")
    (tmp_path / "pyproject.toml").write_text('[tool.connection-lab]\nclaims = ["durably"]\n')
    with pytest.raises(UnknownName, match="durably"):
        from_project(tmp_path)


# -- one line, within seconds -----------------------------------------------------------------------------------------


def test_a_host_of_its_own_is_refused(refuse: Any) -> None:
    line = refuse("own_host", "ownhost")
    assert "ENGINE ownhost" in line
    assert "ownhost/base.py" in line
    assert "127.0.0.1:55999" in line


def at_night(*values: Any) -> Any:
    """A parameter whose kind another one shows on each push."""
    return pytest.param(*values, marks=pytest.mark.nightly)


@pytest.mark.parametrize(("project", "engine"), [("own_password", "ownpw"), at_night("token_once", "iam")])
def test_a_password_of_its_own_is_told_in_the_drivers_words(
    refuse: Any, lab_command: Lab, tmp_path: Path, project: str, engine: str
) -> None:
    begun = time.monotonic()
    line = refuse(project, engine, "--promise", "reuses", "--promise", "recovers")
    assert time.monotonic() - begun < 20
    assert "password authentication failed" in line
    assert "--any-password" in line
    judged = lab_command(
        *("check", engine, "--path", str(PROJECTS / project), "--any-password", "--promise", "isolated-threads"),
        *("--budget", "4", "--json", "out.json"),
    )
    assert judged.returncode in (0, 2), judged
    moments = json.loads((tmp_path / "out.json").read_text())["promises"]["isolated-threads"]["moments"]
    assert "kept" in moments.values()
    assert "broken" not in moments.values()


ENGINE = """
import time
from django.db.backends.postgresql import base
class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self):
        params = super().get_connection_params()
        {}
        return params
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("params['user'] = 'shop'", ['authentication failed for user "shop"', "take USER and PASSWORD from DATABASES"]),
        ("params[[*params][0]] = 'shop'", ['database "shop" does not exist', "take NAME from DATABASES"]),
        ("time.sleep(600)", ["nothing came back within 4 s at read; see that it serves one"]),
    ],
)
def test_an_engine_that_cannot_serve_is_told_with_what_to_do(
    lab_on_rig: Lab, tmp_path: Path, line: str, said: list[str]
) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "__init__.py").touch()
    (tmp_path / "odd" / "base.py").write_text(ENGINE.format(line))
    begun = time.monotonic()
    done = lab_on_rig("check", "odd")
    assert time.monotonic() - begun < 20
    assert done.returncode == 254, done
    for part in said:
        assert part in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        at_night("raise SystemExit(3)", ["does not import", "SystemExit", "why it ends Python"]),
        ("import os\nos.environ['SHOP_SECRET']", ["KeyError", "SHOP_SECRET", "in the environment of this command"]),
        at_night("DATABASES = {}", ["no database 'default'"]),
        at_night("DATABASES = {'default': {}, 'users': {}}", ["no ENGINE", "(users) give --alias"]),
        ("DATABASES = {'default': 'postgres://a:s3cretpw@b/c'}", ["is a str"]),
        (f"DATABASES = {{'default': {{'ENGINE': '{STOCK}', 'OPTIONS': '-c x=1'}}}}", ["OPTIONS", "is a str"]),
        (EARLY, ["apps of", "Connection refused (its own database, which is not there while it loads)"]),
        (
            "DATABASES = {'default': {'ENGINE': 'django.db.backends.mysql', 'NAME': 'x'}}",
            ["another database", "--alias"],
        ),
        at_night("DATABASES = {'default': {'ENGINE': 'sqlite3', 'NAME': 'x'}}", ["another database"]),
        at_night(
            "DATABASES = {'default': {'ENGINE': 'postgresql', 'NAME': 'x'}}", ["ENGINE postgresql does not import"]
        ),
        ("INSTALLED_APPS = ['no_such_app']\n", ["apps of", "no_such_app"]),
        at_night("DATABASE_ROUTERS = ['no.Router']\n", ["apps of", "No module named 'no'"]),
        at_night("CONN = '600'", ["CONN_MAX_AGE", "'600'"]),
        at_night(
            "import ctypes\nctypes.CDLL('libgdal-that-is-not-there.so')", ["libgdal-that-is-not-there", "install that"]
        ),
        ("import os\nos._exit(7)", ["settings module broken_settings ended its interpreter with status 7"]),
        at_night("import ctypes\nctypes.string_at(0)", ["ended its interpreter by SIGSEGV"]),
        at_night(ENGINE_POSTGIS, ["postgis does not import", "install that library"]),
        ("import time\ntime.sleep(60)", ["still importing", "LAB_IMPORT_TIMEOUT"]),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_settings_module_that_cannot_be_used(lab_on_rig: Lab, tmp_path: Path, text: str, said: list[str]) -> None:
    databases = f"DATABASES = {{'default': {{'ENGINE': '{STOCK}', 'NAME': 'x', 'CONN_MAX_AGE': CONN}}}}\n"
    (tmp_path / "broken_settings.py").write_text(f"CONN = 0\n{text}\n" + ("" if "DATABASES =" in text else databases))
    done = lab_on_rig("check", "--settings", "broken_settings", LAB_IMPORT_TIMEOUT="4")
    assert done.returncode == 254, done
    line = done.stderr.splitlines()[-1]
    assert line.startswith("lab: ")
    for part in said:
        assert part in line


def test_a_settings_module_that_prints_is_judged_and_heard_by_nobody(lab_command: Lab, tmp_path: Path) -> None:
    (tmp_path / "loud_settings.py").write_text(
        "import os, sys\n"
        "print('hello from settings ' * 20_000)\n"
        "sys.stderr.write('and a warning\\n')\n"
        "os.system('echo and a child')\n"
        f"DATABASES = {{'default': {{'ENGINE': '{STOCK}', 'NAME': 'x', 'CONN_MAX_AGE': 60}}}}\n"
    )
    done = lab_command("check", "--settings", "loud_settings", "--promise", "reuses", "--budget", "0.1", "--quiet")
    assert done.returncode in (0, 2), done  # what a tenth of a second leaves out is unknown
    assert "reuses" in done.stdout
    for said in ("hello", "a warning", "a child"):
        assert said not in done.stdout + done.stderr


def test_an_interpreter_without_django_is_told_so(lab_command: Lab, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    (tmp_path / "shop.py").write_text("DATABASES = {}")
    for given in ("bare/bin/python", str(tmp_path / "bare" / "bin" / "python")):  # from the folder of the command, too
        done = lab_command("check", "--settings", "shop", "--python", given)
        assert done.returncode == 254, done
        (line,) = done.stderr.splitlines()[-1:]
        assert line.startswith(
            f"lab: Django does not import under {tmp_path}/bare/bin/python: No module named 'django'"
        )
        assert "install it there" in line
