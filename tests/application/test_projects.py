"""What projects do: every way of calling, every way of connecting, every tool around the tests."""

from __future__ import annotations

import pytest

from fix_application import Project, Ran

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

HEAD = """
import pytest
from books import books
from django.test import Client
from shop.models import Account, Order, Product, Tag
pytestmark = pytest.mark.django_db
"""

CALLS = (
    HEAD
    + """
import asyncio
import urllib.parse
import urllib.request
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import connection, transaction
from rest_framework.test import APIClient

URL = "/orders/"
DATA = {"sku": "a", "n": 1}

def sell():
    with transaction.atomic():
        product = Product.objects.select_for_update().get(sku="a")
        product.stock -= 1
        product.save()
        Order.objects.create(product=product, quantity=1)

def test_client(shop, client, every_cut):
    every_cut(lambda: client.post(URL, DATA), books)

def test_service(shop, every_cut):
    every_cut(sell, books)

def test_api_client(shop, every_cut):
    client = APIClient()
    every_cut(lambda: client.post(URL, DATA), books)

def test_async_client(shop, async_client, every_cut):
    async def buy():
        return await async_client.post(URL, DATA)
    every_cut(buy, books)

def test_async_function(shop, every_cut):
    async def buy():
        await sync_to_async(sell)()
    every_cut(buy, books)

def test_live_server(shop, live_server, every_cut):
    def buy():
        data = urllib.parse.urlencode(DATA).encode()
        with urllib.request.urlopen(live_server.url + URL, data) as answer:
            return answer.status
    every_cut(buy, books)

def test_command(shop, every_cut):
    from django.core.management.base import BaseCommand
    class Sell(BaseCommand):
        def handle(self, **options):
            sell()
    every_cut(lambda: call_command(Sell()), books)

def test_nested_savepoints(shop, every_cut):
    def buy():
        with transaction.atomic():
            sell()
            try:
                with transaction.atomic():
                    Product.objects.create(sku="a", stock=1)
            except Exception as error:
                if "duplicate" not in str(error):
                    raise
    every_cut(buy, books)

def test_read_only(shop, every_cut):
    every_cut(lambda: list(Product.objects.all()))

def test_get_or_create(shop, every_cut):
    every_cut(lambda: Tag.objects.get_or_create(name="new"))

def test_bulk(shop, every_cut):
    every_cut(lambda: Tag.objects.bulk_create([Tag(name=str(n)) for n in range(300)], batch_size=100), atomic=False)

def test_nothing_to_cut(shop, every_cut):
    every_cut(lambda: 1)

def test_broken_without_a_cut(shop, every_cut):
    def wrong():
        assert Order.objects.count() == 0, "there is an order"
    every_cut(sell, wrong)

def test_answers_500_without_a_cut(shop, client, every_cut):
    every_cut(lambda: client.post("/orders/", {"sku": "b"}))

def test_left_open(shop, every_cut):
    def begin():
        connection.set_autocommit(False)
        sell_one = Product.objects.get(sku="a")
    every_cut(begin)

def test_poisoned_for_the_next(shop, every_cut):
    kept = []
    def keep():
        if not kept:
            kept.append(connection.cursor())
        kept[0].execute("SELECT 1")
    def again():
        kept[0].execute("SELECT 1")
    def forget():
        kept.clear()
    every_cut(keep, before=forget, then=again)

def test_rows_of_others_may_be_ignored(shop, every_cut):
    def tag_and_sell():
        try:
            Tag.objects.create(name="seen")
        except Exception:
            connection.close()
        sell()
    every_cut(tag_and_sell, books, ignore=["shop_tag"])

def test_rows_of_others_not_ignored(shop, every_cut):
    def tag_and_sell():
        try:
            Tag.objects.create(name="seen")
        except Exception:
            connection.close()
        sell()
    every_cut(tag_and_sell, books)

def test_half_done_with_atomic(shop, every_cut):
    def two():
        Tag.objects.create(name="one")
        Account.objects.create(owner="bob", balance=1)
    every_cut(two, atomic=True)

def test_half_done_is_a_note(shop, every_cut):
    def two():
        Tag.objects.create(name="one")
        Account.objects.create(owner="bob", balance=1)
    every_cut(two)

def test_invariant_is_told_of_the_case(shop, every_cut):
    doubts = []
    def sold(case):
        books()
        doubts.append(case.in_doubt)
        assert case.served or case.exception is not None
        assert not case.served or case.rows
    every_cut(sell, sold)
    assert doubts.count(True) == 1
"""
)

PASSING = [
    "test_client",
    "test_service",
    "test_api_client",
    "test_async_client",
    "test_async_function",
    "test_live_server",
    "test_command",
    "test_read_only",
    "test_get_or_create",
    "test_bulk",
    "test_rows_of_others_may_be_ignored",
    "test_half_done_is_a_note",
    "test_invariant_is_told_of_the_case",
]


@pytest.fixture(scope="module", params=["psycopg", pytest.param("psycopg2", marks=pytest.mark.nightly)])
def calls(project: Project, request: pytest.FixtureRequest) -> Ran:
    project.write("test_calls.py", CALLS)
    return project.pytest(f"--lab-driver={request.param}", "test_calls.py")


@pytest.mark.parametrize("test", PASSING)
def test_right_call_passes_however_it_is_made(calls: Ran, test: str) -> None:
    assert calls.outcomes[test] == "passed", calls.report(test)
    line = calls.line(test)
    assert "void" not in line
    assert "did not come through the tap" not in line


@pytest.mark.parametrize(
    ("test", "says"),
    [
        ("test_nothing_to_cut", "nothing that this call says to the database came through the tap"),
        ("test_broken_without_a_cut", "the invariant fails without any cut: there is an order"),
        ("test_answers_500_without_a_cut", "the call answers 500 without any cut: "),
        ("test_left_open", "left open: a session waits inside a transaction after the answer, without any cut"),
        # Django 5.2: an atomic block whose savepoint cannot be rolled back ends the outer one with a silent rollback.
        (
            "test_nested_savepoints",
            "success without effect: the client was told that all is well, without rows in shop",
        ),
        ("test_poisoned_for_the_next", "next request: "),
        ("test_rows_of_others_not_ignored", "success with half of its effect: the client was told that all is well"),
        ("test_half_done_with_atomic", "half done: some of the request's rows are there, and some are not"),
    ],
)
def test_wrong_call_fails_with_its_reason(calls: Ran, test: str, says: str) -> None:
    assert calls.outcomes[test] == "failed"
    assert says in calls.report(test)
