"""Ways of losing a connection beyond its plain end, and places inside a statement."""

from __future__ import annotations

import pytest

from fix_application import Project, Ran

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

WAYS = """
import io
import os
import socket
import threading
from urllib.parse import urlencode
from urllib.request import urlopen
import pytest
from books import books, letters, no_letter_too_many
from django.db import connection, transaction
from shop.models import Order, Product, Tag
pytestmark = pytest.mark.django_db
DATA = {"sku": "a", "n": 1}

def load():
    with connection.cursor() as cursor:
        if hasattr(cursor, "copy_expert"):  # psycopg2's
            cursor.copy_expert("COPY shop_tag (name) FROM STDIN", io.StringIO("".join(f"{n}\\n" for n in range(20))))
            return
        with cursor.copy("COPY shop_tag (name) FROM STDIN") as copy:
            for n in range(20):
                copy.write_row([str(n)])

def test_rst(shop, client, every_cut):
    every_cut(lambda: client.post("/wrong/orders/", DATA), books, ways="rst")

def test_kill(shop, client, every_cut):
    every_cut(lambda: client.post("/wrong/orders/", DATA), books, ways="kill")

def test_kill_right(shop, client, every_cut):
    every_cut(lambda: client.post("/orders/", DATA), books, ways="kill")

def test_kill_between_commit_and_hook(shop, every_cut):
    '''The hook makes the second row: a process that dies after COMMIT leaves the first one alone.'''
    def buy():
        with transaction.atomic():
            Order.objects.create(product=Product.objects.get(sku="a"), quantity=1)
            transaction.on_commit(lambda: Tag.objects.create(name="ordered"))
    def both():
        orders, tags = Order.objects.count(), Tag.objects.count()
        assert orders == tags, f"{orders} orders and {tags} tags"
    every_cut(buy, both, ways=["kill"])

def test_kill_letter(shop, client, every_cut):
    every_cut(lambda: client.post("/orders/mailed/", {"sku": "a"}), letters, ways="kill")

def test_kill_letter_too_early(shop, client, every_cut):
    every_cut(lambda: client.post("/wrong/orders/mailed/", {"sku": "a"}), no_letter_too_many, ways="kill")

def test_kill_async_client(shop, async_client, every_cut):
    async def buy():
        return await async_client.post("/wrong/orders/", DATA)
    every_cut(buy, books, ways="kill")

def test_kill_of_a_live_servers_client(shop, live_server, every_cut):
    def buy():
        with urlopen(live_server.url + "/orders/", urlencode(DATA).encode()) as answer:
            return answer.status
    every_cut(buy, books, ways="kill")

def test_drop_reply(shop, client, every_cut):
    every_cut(lambda: client.post("/wrong/orders/", DATA), books, ways="drop-reply")

def test_stall_without_a_limit(shop, client, every_cut):
    every_cut(lambda: client.post("/orders/", DATA), books, ways="stall")

def test_stall_with_a_limit(shop, every_cut):
    def buy():
        raw = connection.connection
        if raw is None:
            connection.ensure_connection()
            raw = connection.connection
        mine = socket.socket(fileno=os.dup(raw.fileno()))
        timer = threading.Timer(1.0, lambda: mine.shutdown(2))
        timer.start()
        try:
            Tag.objects.create(name="new")
        finally:
            timer.cancel()
    every_cut(buy, ways="stall")

def test_messages_of_a_big_result(shop, every_cut):
    Tag.objects.bulk_create([Tag(name=str(n)) for n in range(20)])
    every_cut(lambda: list(Tag.objects.all()), every="message")

def test_messages_of_a_server_side_cursor(shop, every_cut):
    Tag.objects.bulk_create([Tag(name=str(n)) for n in range(20)])
    def read():
        return [tag.name for tag in Tag.objects.iterator(chunk_size=5)]
    every_cut(read, every="message", ways="fin,rst")

def test_messages_of_copy(shop, every_cut):
    every_cut(load, every="message")

def test_messages_of_copy_swallowed(shop, every_cut):
    def load_or_not():
        try:
            load()
        except Exception:
            pass
    every_cut(load_or_not, every="message")
"""


@pytest.fixture(scope="module", params=["psycopg", pytest.param("psycopg2", marks=pytest.mark.nightly)])
def ways(project: Project, request: pytest.FixtureRequest) -> Ran:
    project.write("test_ways.py", WAYS)
    return project.pytest("test_ways.py", "--lab-bound", "3", f"--lab-driver={request.param}")


@pytest.mark.parametrize(
    ("test", "says"),
    [
        ("test_kill_right", "every_cut: 5 statements, 12 cuts in"),
        ("test_kill_letter", "every_cut: 6 statements, "),
        ("test_stall_with_a_limit", "every_cut: 1 statement, 1 cut in"),
        ("test_messages_of_a_big_result", "every_cut: 1 statement, "),
        ("test_messages_of_a_server_side_cursor", "statements, "),
        ("test_messages_of_copy", "every_cut: "),
    ],
)
def test_right_one_survives(ways: Ran, test: str, says: str) -> None:
    assert ways.outcomes[test] == "passed", ways.report(test)
    assert says in ways.line(test)
    assert "void" not in ways.line(test)


@pytest.mark.parametrize(
    ("test", "says"),
    [
        ("test_rst", "invariant: 9 in stock and 0 sold, of 10  [2 cuts]"),
        ("test_kill", "invariant: 9 in stock and 0 sold, of 10  [2 cuts]"),
        ("test_kill", "-> no answer, rows shop_product ~1"),
        ("test_kill_letter_too_early", "invariant: a letter about an order that is not there"),
        ("test_kill_async_client", "invariant: 9 in stock and 0 sold, of 10  [2 cuts]"),
        (
            "test_kill_of_a_live_servers_client",
            "the process to be killed has not sent the statement: a live_server serves in the test's own process",
        ),
        ("test_kill_between_commit_and_hook", "invariant: 1 orders and 0 tags"),
        ("test_drop_reply", "invariant: 9 in stock and 0 sold, of 10  [1 cut]"),
        ("test_stall_without_a_limit", "no time limit: the request waits for a silent server, after 3 s it still did"),
        ("test_messages_of_copy_swallowed", "success without effect"),
    ],
)
def test_wrong_one_is_found(ways: Ran, test: str, says: str) -> None:
    assert ways.outcomes[test] == "failed", ways.text
    assert says in ways.report(test)
