"""What must not be touched is refused, and nothing is left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import psycopg
import pytest

from fix_application import Project
from lab.application.server import OwnServer

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

LIVE = """
import pytest

@pytest.fixture(scope="session")
def django_db_setup():
    '''This suite runs on a database that is there.'''

@pytest.mark.django_db
def test_live(every_cut):
    raise AssertionError("reached")

@pytest.mark.django_db
def test_live_by_order(every_order):
    raise AssertionError("reached")
"""


def control(server: OwnServer, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
    where = server.where
    return psycopg.connect(
        host=where["host"], port=where["port"], user=where["user"], password=where["password"], dbname=database,
        autocommit=True,
    )  # fmt: skip


def test_live_database_is_refused_before_it_is_emptied(
    fresh_project: Callable[[], Project], users_server: OwnServer
) -> None:
    project = fresh_project()
    project.write("test_live.py", LIVE)
    project.write(
        "fill.py",
        """
        import os, django
        os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
        django.setup()
        from django.core.management import call_command
        call_command("migrate", run_syncdb=True, verbosity=0)
        from shop.models import Tag
        Tag.objects.create(name="of a customer")
        """,
    )
    with control(users_server) as connection:
        connection.execute("DROP DATABASE IF EXISTS live")
        connection.execute("CREATE DATABASE live")
    environ = project.environ({"name": "live"})
    subprocess.run([sys.executable, "fill.py"], cwd=project.folder, env=environ, check=True)
    ran = project.pytest("test_live.py", settings={"name": "live"})
    assert set(ran.outcomes.values()) == {"error"}, ran.text
    assert "the database 'live' of alias 'default' was not made by this test run" in ran.text
    assert "or use --lab-postgres" in ran.text
    assert "Traceback" not in ran.text
    with control(users_server, "live") as connection:
        assert connection.execute("SELECT name FROM shop_tag").fetchall() == [("of a customer",)]


def test_sqlite_is_refused_with_a_remedy(project: Project) -> None:
    project.write(
        "test_sqlite.py",
        """
        import pytest

        @pytest.mark.django_db
        def test_sqlite(every_cut):
            raise AssertionError("reached")
        """,
    )
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "OPTIONS": {}}
    ran = project.pytest("test_sqlite.py", settings=sqlite)
    assert ran.outcomes == {"test_sqlite": "error"}
    assert "alias 'default' is sqlite, and the lab cuts PostgreSQL connections; use --lab-postgres" in ran.text


def test_suite_that_gevent_has_patched_is_refused_with_a_remedy(project: Project) -> None:
    project.write("patched.py", "from gevent import monkey\nmonkey.patch_all()\n")
    project.write(
        "test_patched.py",
        """
        import pytest

        @pytest.mark.django_db
        def test_cut(every_cut):
            raise AssertionError("reached")

        @pytest.mark.django_db
        def test_order(every_order):
            raise AssertionError("reached")

        @pytest.mark.django_db
        def test_other(client):
            assert client.get("/nothing/").status_code == 404
        """,
    )
    ran = project.pytest("-p", "patched", "test_patched.py")
    assert ran.outcomes == {"test_cut": "error", "test_order": "error", "test_other": "passed"}, ran.text
    said = (
        "gevent has patched this process's threads and sockets, so the lab cannot wait for its tap; "
        "run these tests without gevent's monkey patches"
    )
    assert ran.text.count(f"\n{said}\n") == 2
    assert "Traceback" not in ran.text


def test_atomic_test_case_is_told_what_it_needs(project: Project) -> None:
    project.write(
        "test_cases.py",
        """
        from django.test import TestCase, TransactionTestCase
        from lab.application.library import JudgedTestCase
        from books import books
        from shop.models import Account, Order, Product

        class Atomic(JudgedTestCase, TestCase):
            def test_in_a_transaction(self):
                self.every_cut(lambda: Product.objects.count())

        class Real(JudgedTestCase, TransactionTestCase):
            def setUp(self):
                Product.objects.create(sku="a", stock=10)
                Account.objects.create(owner="ann", balance=100)

            def buy(self, url):
                return lambda: self.client.post(url, {"sku": "a", "n": 1})

            def test_right(self):
                self.every_cut(self.buy("/orders/"), books)

            def test_wrong(self):
                self.every_cut(self.buy("/wrong/orders/"), books)
        """,
    )
    ran = project.pytest("test_cases.py")
    assert ran.outcomes == {"test_in_a_transaction": "failed", "test_right": "passed", "test_wrong": "failed"}, ran.text
    assert "there is no COMMIT to cut; use django_db(transaction=True) or TransactionTestCase" in ran.text
    assert "LAB_CUT='c1:ready:" in ran.text


def test_library_works_with_djangos_own_runner(project: Project) -> None:
    project.write(
        "test_runner.py",
        """
        from django.test import TransactionTestCase
        from lab.application.library import JudgedTestCase
        from books import asks, books
        from shop.models import Product

        class Orders(JudgedTestCase, TransactionTestCase):
            def setUp(self):
                Product.objects.create(sku="a", stock=10)

            def test_wrong(self):
                self.every_cut(lambda: self.client.post("/wrong/orders/", {"sku": "a", "n": 1}), books)

            def test_two_right(self):
                self.every_order(asks("/orders/", sku="a", n=1), asks("/orders/", sku="a", n=2), invariant=books)

            def test_two_wrong(self):
                ask = "/wrong/orders/unlocked/"
                self.every_order(asks(ask, sku="a", n=1), asks(ask, sku="a", n=2), preemptions=1)
        """,
    )
    program = [sys.executable, "-m", "django", "test", "--settings=settings", "test_runner", "--noinput"]
    done = subprocess.run(
        program, cwd=project.folder, env={**project.environ(), "PYTHONPATH": "."}, text=True, capture_output=True,
        check=False,
    )  # fmt: skip
    assert "invariant: 9 in stock and 0 sold, of 10  [2 cuts]" in done.stderr
    assert "python manage.py test test_runner.Orders.test_wrong" in done.stderr
    assert "not serial: answers and rows (201, 201) that no order one after the other has" in done.stderr
    assert "LAB_ORDER='AABBBBBAAA' python manage.py test test_runner.Orders.test_two_wrong" in done.stderr
    assert "pages: lab report .connection-lab" in done.stderr
    assert "Ran 3 tests in " in done.stderr
    assert "FAILED (failures=2)" in done.stderr


def test_sessions_past_the_tap_are_counted(project: Project) -> None:
    project.write(
        "test_past.py",
        """
        import psycopg
        import pytest
        from django.db import connection
        from shop.models import Tag

        @pytest.mark.django_db
        def test_past(every_cut):
            def buy():
                said = connection.settings_dict
                with psycopg.connect(host=said["HOST"], port=said["PORT"], user=said["USER"],
                                     password=said["PASSWORD"], dbname=said["NAME"]) as own:
                    own.execute("SELECT 1")
                Tag.objects.create(name="new")
            every_cut(buy)
        """,
    )
    line = project.pytest("test_past.py").line("test_past")
    assert line.endswith("sessions did not come through the tap and were not cut")
    assert "; 7 sessions" in line  # a warm-up, two clean runs, four cuts


def test_killed_run_leaves_no_process_and_no_table(
    fresh_project: Callable[[], Project], users_server: OwnServer
) -> None:
    project = fresh_project()
    project.write(
        "test_killed.py",
        """
        import os, psutil, pytest, signal
        from shop.models import Tag

        @pytest.mark.django_db
        def test_killed(every_cut):
            runs = []
            def words(process):
                try:
                    return " ".join(process.cmdline()) if "LAB_TEST_KILLED" in process.environ() else ""
                except psutil.NoSuchProcess:
                    return ""  # it has ended meanwhile
            def die():
                Tag.objects.create(name="new")
                runs.append(1)
                if len(runs) == 3:
                    mine = psutil.Process().children(recursive=True)
                    open("marked", "w").write(", ".join(map(words, mine)))
                    os.kill(os.getpid(), signal.SIGKILL)
            every_cut(die)
        """,
    )
    mark = f"LAB_TEST_KILLED={project.folder}"  # other workers have such processes, too
    argv = [sys.executable, "-m", "pytest", "--nomigrations", "--reuse-db", "--lab-postgres", "test_killed.py"]
    for own in (True, False):
        arguments = argv if own else [each for each in argv if each != "--lab-postgres"]
        environ = {**project.environ({"name": "kept"}), **dict([mark.split("=", 1)])}
        done = subprocess.run(arguments, cwd=project.folder, env=environ, capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL
        marked = (project.folder / "marked").read_text()
        assert "remote_child" in marked
        assert ("embedded.alone" in marked) is own
        deadline = time.monotonic() + 10
        while left := _marked(mark):
            assert time.monotonic() < deadline, left
            time.sleep(0.05)
    with control(users_server, "test_kept") as connection:
        assert not connection.execute(
            "SELECT relname FROM pg_class WHERE relname LIKE 'lab%' AND NOT pg_is_other_temp_schema(relnamespace)"
        ).fetchall()


def _marked(mark: str) -> list[str]:
    """The command lines of processes that have inherited it, those that are only waited for not among them."""
    found = []
    name, _, value = mark.partition("=")
    for each in psutil.process_iter():
        try:
            if each.environ().get(name) == value and each.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(each.cmdline()))
        except psutil.Error:
            continue
    return found
