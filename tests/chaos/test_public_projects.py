"""Packages and projects from the index, pinned, as their documentation or their own settings set them up.

Each is accepted as it is, each broken cell replays, and each is in the table of docs/public-projects.md.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fix_cli import ROOT, Lab
from lab.check.check import Options, check
from lab.check.replay import replay
from lab.cli.options import variants_of
from lab.pytest_plugin.session import Lab as LabSession
from lab.records.codec import decode_plan
from lab.records.verdict import Verdict
from lab.rig.machine.environments import install
from lab.store import Store
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.nightly]
SETTINGS = ROOT / "tests" / "projects" / "public"
PROMISES = ("works-unfaulted", "reuses", "replaces-stale", "isolated-threads", "clean-session", "alias-separate")
TIMES = 5
DRIVERS = ("psycopg2-binary==2.9.13", "psycopg[binary,pool]==3.3.9")
TOGETHER = (
    *("django==5.2.19", "django-prometheus==2.5.0", "django-tenants==4.0.1", "django-postgres-extra==3.0.1"),
    *("django-db-connection-pool==1.2.6", "wagtail==8.0.1", "django-pghistory==3.9.2"),
    *("django-silk==5.6.0", "django-multitenant==4.1.1", "django-configurations==2.5.1"),
)
GEVENT = ("django==5.2.19", "django-db-geventpool==4.0.8", "gevent==26.9.0")
PULP = ("pulpcore==3.123.1",)


@dataclass(frozen=True)
class Public:
    """A project: its settings, what is installed for it, its environment, and the promises that it breaks.

    `moments`: those at which replaces-stale is broken, where they are not all.
    """

    settings: str
    broken: frozenset[str]
    wanted: tuple[str, ...] = TOGETHER
    python: str = "3.13"
    environ: dict[str, str] = field(default_factory=dict)
    moments: tuple[str, ...] = ()

    def executable(self) -> str:
        """Its interpreter."""
        what = hashlib.sha256("\n".join((*self.wanted, *DRIVERS)).encode()).hexdigest()[:12]
        return install(f"environment-public-{what}", self.python, (*self.wanted, *DRIVERS))


KEPT: frozenset[str] = frozenset()
STATE = frozenset({"clean-session"})
STALE = STATE | {"replaces-stale"}
TEST_DATABASE = STALE | {"alias-separate"}
UNTOLD = ("in a command", "in an executor's thread")
ROTATED = ("password rotated, query first", "password rotated, atomic() first")
PUBLIC = (
    Public("prometheus_settings", STALE, moments=UNTOLD),
    Public("tenants_settings", STALE),
    Public("psqlextra_settings", STALE),
    Public("sqlalchemy_pool_settings", TEST_DATABASE, moments=(*UNTOLD, *ROTATED)),
    Public("geventpool_settings", TEST_DATABASE, wanted=GEVENT),
    Public("silk_settings", STALE),
    Public("wagtail_settings", STATE),
    Public("multitenant_settings", STALE),
    Public(
        "pulpcore.app.settings",
        STATE,
        wanted=PULP,
        python="3.12",
        environ={"PULP_CONTENT_ORIGIN": "http://localhost", "LAB_IMPORT_TIMEOUT": "90"},
    ),
)


@pytest.mark.parametrize("public", PUBLIC, ids=lambda public: public.settings)
def test_a_public_project_is_judged_as_it_is(
    lab: LabSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, public: Public
) -> None:
    (tmp_path / "key").write_bytes(base64.urlsafe_b64encode(bytes(range(32))) + b"\n")
    for name, value in {**public.environ, "PULP_DB_ENCRYPTION_KEY": str(tmp_path / "key")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (variant,) = variants_of(None, path=[str(SETTINGS)], settings=public.settings, python=public.executable())
    options = Options(promises=PROMISES, search=0.0, cuts=False)
    (result,) = check([variant], lab.rig(), options, Store(tmp_path / "store"))
    broken = {name for name, promise in result.promises.items() if promise.verdict is Verdict.BROKEN}
    unknown = {name for name, promise in result.promises.items() if promise.verdict is Verdict.UNKNOWN}
    said = {name: promise.summary for name, promise in result.promises.items() if name in broken | unknown}
    print(public.settings, sorted(broken), said)  # noqa: T201 - what a night leaves to be read
    assert not unknown, said
    assert broken - {"works-unfaulted"} == set(public.broken), said
    if public.moments:
        stale = result.promises["replaces-stale"].moments
        assert {moment for moment, verdict in stale.items() if verdict is Verdict.BROKEN} <= set(public.moments)
    zygote = Zygote(variant, lab.rig().folder, lab.rig().environ())
    try:
        for name in sorted(broken):
            path = result.promises[name].evidence[0]
            plan = decode_plan(Path(path).read_bytes(), path)
            replays = replay(plan, lab.rig(), zygote, TIMES)
            assert (replays.agreeing, replays.expected) == (TIMES, TIMES), (name, replays.verdicts(), replays.void)
    finally:
        zygote.close()


def test_what_a_project_asks_for_while_it_loads_is_refused_and_named(lab_command: Lab) -> None:
    """squad fetches its static files with wget when its settings are imported from a package without them."""
    squad = Public("squad.settings", KEPT, ("squad==1.98", "django==4.2.30", "setuptools<81"), "3.12")
    done = lab_command(
        *("check", "--settings", squad.settings, "--python", squad.executable()),
        DATABASE="ENGINE=django.db.backends.postgresql:NAME=squad:HOST=db.internal",
    )
    assert done.returncode == 254, done
    assert re.search(r"wget, started by settings module squad.settings \(frontend/setup.py:\d+\)", done.stderr)


def test_a_configuration_of_django_configurations_is_used(lab_command: Lab, tmp_path: Path) -> None:
    (tmp_path / "shop_settings.py").write_text(
        "from configurations import Configuration, values\n"
        "class Base(Configuration):\n"
        "    SECRET_KEY = 'x'\n"
        "    AGE = values.IntegerValue(7, environ_name='SHOP_AGE', environ_prefix=None)\n"
        "    @property\n"
        "    def DATABASES(self):\n"
        "        own = {'ENGINE': 'django.db.backends.postgresql', 'NAME': 'x', 'CONN_MAX_AGE': self.AGE}\n"
        "        return {'default': own}\n"
        "class Prod(Base):\n"
        "    @classmethod\n"
        "    def post_setup(cls):\n"
        "        super().post_setup()\n"
    )
    python = Public("shop_settings", KEPT).executable()
    arguments = ("check", "--settings", "shop_settings", "--python", python, "--promise", "reuses")
    environ = {"DJANGO_CONFIGURATION": "Prod", "SHOP_AGE": "600"}
    done = lab_command(*arguments, "--budget", "0.1", "--json", "out.json", **environ)
    assert done.returncode in (0, 2), done
    told = (tmp_path / "out.json").read_text()
    assert '"CONN_MAX_AGE": 600' in told
    assert "DJANGO_CONFIGURATION: Prod" in told
    none = lab_command(*arguments, DJANGO_CONFIGURATION="Nope")
    assert (none.returncode, "Couldn't find configuration 'Nope'" in none.stderr) == (254, True), none
    without = lab_command(*arguments)
    assert (without.returncode, "django-configurations" in without.stderr) == (254, True), without
