"""Every way of connecting, and every tool around the tests."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fix_application import Project, Ran

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

DRIVERS = ["psycopg", pytest.param("psycopg2", marks=pytest.mark.nightly)]

ORDER = """
import pytest
from books import books
pytestmark = pytest.mark.django_db

def test_right(shop, client, every_cut):
    every_cut(lambda: client.post("/orders/", {"sku": "a", "n": 1}), books)

def test_wrong(shop, client, every_cut):
    every_cut(lambda: client.post("/wrong/orders/", {"sku": "a", "n": 1}), books)
"""


def ran(project: Project, *arguments: str, **settings: Any) -> Ran:
    project.write("test_order.py", ORDER)
    found = project.pytest("test_order.py", *arguments, settings=settings)
    assert found.outcomes["test_right"] == "passed", found.text
    assert found.outcomes["test_wrong"] == "failed", found.text
    assert "invariant: 9 in stock and 0 sold, of 10  [2 cuts]" in found.text
    return found


@pytest.mark.parametrize("driver", DRIVERS)
def test_persistent_connection_begins_warm(project: Project, driver: str) -> None:
    # Two cuts less than of a request that connects: the connection was there before.
    line = ran(project, f"--lab-driver={driver}", CONN_MAX_AGE=None).line("test_right")
    assert "every_cut: 5 statements, 10 cuts in" in line


def test_health_checks_serve_the_next_request(project: Project) -> None:
    # The check is a statement of the request, and its loss is served by another connection.
    line = ran(project, CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True).line("test_right")
    assert "every_cut: 6 statements, 12 cuts in" in line
    assert ": 2 served, 9 error, nothing done, 1 in doubt" in line


@pytest.mark.parametrize("size", [pytest.param(1, marks=pytest.mark.nightly), 3])
def test_pool_of_psycopg_begins_full(project: Project, size: int) -> None:
    # The pool connects in threads of its own: were it not waited for, the request would get now the first, now another.
    pool = {"min_size": size, "max_size": 4, "timeout": 5}
    found = ran(project, OPTIONS={"pool": pool}, CONN_HEALTH_CHECKS=True)
    line = found.line("test_right")
    assert "every_cut: 5 statements, 10 cuts in" in line
    assert line.endswith(": 9 error, nothing done, 1 in doubt")
    assert f"c1:ready:{4 if size == 1 else 5}+0 fin " in found.report("test_wrong")  # the others wait behind it


def test_server_side_binding(project: Project) -> None:
    found = ran(project, OPTIONS={"server_side_binding": True})
    assert "every_cut: 5 statements, 12 cuts in" in found.line("test_right")


@pytest.mark.nightly
@pytest.mark.parametrize(("driver", "level"), [("psycopg", 2), ("psycopg2", 2)], ids=["psycopg", "psycopg2"])
def test_repeatable_read(project: Project, driver: str, level: int) -> None:
    ran(project, f"--lab-driver={driver}", OPTIONS={"isolation_level": level})


@pytest.mark.parametrize("driver", DRIVERS)
def test_xdist_gives_each_worker_its_database(project: Project, driver: str) -> None:
    project.write("test_order.py", ORDER)
    project.write("test_order2.py", ORDER)
    found = project.pytest("test_order.py", "test_order2.py", "-n", "2", f"--lab-driver={driver}")
    assert found.text.count("PASSED") == 2
    reports, _, _ = found.text.partition("short test summary")  # as wide as the terminal, it may name them once more
    assert reports.count("invariant: 9 in stock and 0 sold, of 10  [2 cuts]") == 2
    assert "every_cut: 5 statements, 12 cuts in" in found.line("test_right")


def test_own_server_for_a_sqlite_project(project: Project) -> None:
    project.write("test_order.py", ORDER)
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "OPTIONS": {}}
    found = project.pytest("test_order.py", "--lab-postgres", settings=sqlite)
    assert found.outcomes == {"test_right": "passed", "test_wrong": "failed"}, found.text
    assert "of the lab's own" in found.text
    assert re.search(
        r"see it again: pytest test_order.py::test_wrong --lab-cut '.*' --lab-postgres$", found.text, re.MULTILINE
    )


@pytest.mark.nightly
def test_own_server_under_xdist(project: Project) -> None:
    project.write("test_order.py", ORDER)
    found = project.pytest("test_order.py", "--lab-postgres", "-n", "2", settings={"PORT": "1"})
    assert found.outcomes == {"test_right": "passed", "test_wrong": "failed"}, found.text


TWO = """
import pytest
from django.db import connections, transaction
from shop.models import Tag
pytestmark = pytest.mark.django_db(databases=["default", "other"])

def both():
    with transaction.atomic():
        Tag.objects.create(name="here")
        Tag.objects.using("other").create(name="there")

def both_or_none():
    here, there = Tag.objects.count(), Tag.objects.using("other").count()
    assert here == there, f"{here} here and {there} there"

def test_wrong(every_cut):
    every_cut(both, both_or_none)

def test_right(every_cut):
    def one():
        with transaction.atomic(using="other"):
            Tag.objects.using("other").create(name="there")
            Tag.objects.using("other").create(name="there too")
    every_cut(one)

@pytest.mark.django_db
def test_other_alias_is_left_alone(every_cut):
    every_cut(lambda: Tag.objects.create(name="here"))
"""


@pytest.mark.parametrize("driver", DRIVERS)
def test_two_aliases_are_both_cut_and_both_restored(project: Project, driver: str) -> None:
    project.write("test_two.py", TWO)
    others = {"other": project.database("elsewhere")}
    found = project.pytest("test_two.py", f"--lab-driver={driver}", others=others)
    assert found.outcomes == {
        "test_wrong": "failed",
        "test_right": "passed",
        "test_other_alias_is_left_alone": "passed",
    }, found.text
    assert "invariant: 0 here and 1 there" in found.report("test_wrong")
    assert "other:shop_tag +1" in found.report("test_wrong")


def test_mirror_is_one_database(project: Project) -> None:
    project.write(
        "test_mirror.py",
        """
        import pytest
        from shop.models import Tag

        @pytest.mark.django_db(databases=["default", "replica"])
        def test_mirror(every_cut):
            def write_and_read():
                Tag.objects.create(name="new")
                return list(Tag.objects.using("replica"))
            every_cut(write_and_read)
        """,
    )
    replica = project.database("shop", TEST={"MIRROR": "default"})
    found = project.pytest("test_mirror.py", others={"replica": replica})
    assert found.outcomes == {"test_mirror": "passed"}, found.text
    assert "every_cut: 2 statements, 8 cuts in" in found.line("test_mirror")


TOOLS = """
import datetime
import factory
import pytest
from books import books
from freezegun import freeze_time
from hypothesis import HealthCheck, given, settings, strategies as st
from shop.models import Order, Product, Tag
pytestmark = pytest.mark.django_db

class TagFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Tag
    name = factory.Sequence(lambda n: f"tag {n}")

@freeze_time("2020-02-02")
def test_freezegun(shop, client, every_cut):
    def then():
        books()
        assert all(each.created.year == 2020 for each in Order.objects.all())
    every_cut(lambda: client.post("/orders/", {"sku": "a", "n": 1}), then)

def test_factory_boy(every_cut):
    TagFactory.create_batch(3)
    every_cut(TagFactory, lambda: None)
    assert Tag.objects.count() == 3

@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(n=st.integers(1, 9))
def test_hypothesis_right(shop, client, every_cut, n):
    assert Product.objects.get(sku="a").stock == 10
    every_cut(lambda: client.post("/orders/", {"sku": "a", "n": n}), books)

@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None,
          derandomize=True)
@given(n=st.integers(1, 9))
def test_hypothesis_wrong(shop, client, every_cut, n):
    every_cut(lambda: client.post("/wrong/orders/", {"sku": "a", "n": n}), books)

def test_state_outside_needs_before(shop, client, every_cut):
    seen = []
    def once():
        if not seen:
            seen.append(Tag.objects.create(name="new"))
    def written():
        assert Tag.objects.count() == len(seen), "a tag that is remembered and not there"
    every_cut(once, before=seen.clear)
"""


@pytest.mark.parametrize("driver", DRIVERS)
def test_tools_around_the_test(project: Project, driver: str) -> None:
    project.write("test_tools.py", TOOLS)
    found = project.pytest("-p", "hypothesispytest", "test_tools.py", f"--lab-driver={driver}")
    assert found.outcomes == {
        "test_freezegun": "passed",
        "test_factory_boy": "passed",
        "test_hypothesis_right": "passed",
        "test_hypothesis_wrong": "failed",
        "test_state_outside_needs_before": "passed",
    }, found.text
    assert "n=1" in found.report("test_hypothesis_wrong")  # shrunk


def test_pytest_socket_forbids_nothing_that_is_needed(project: Project) -> None:
    ran(project, "--disable-socket")
