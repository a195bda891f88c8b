"""Tests that are written into the example shop: calls that are wrong in some order, and their right twins."""

HEAD = '''
import threading
import time
from urllib.parse import urlencode
from urllib.request import urlopen
import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from django.db.backends.signals import connection_created
from django.db.models import F, Sum
from django.test import AsyncClient, Client
from books import books, money
from shop.models import Account, Order, Product, Tag

pytestmark = pytest.mark.django_db

def post(path, **data):
    client = Client()
    return lambda: client.post(path, data)

def bought(n):
    return post("/wrong/orders/unlocked/", sku="a", n=n)

def locked(n):
    return post("/orders/", sku="a", n=n)

@pytest.fixture
def accounts(shop):
    Account.objects.create(owner="bob", balance=100)

def transfer(first, second, order=lambda names: names):
    def call():
        with transaction.atomic():
            found = {name: Account.objects.select_for_update().get(owner=name) for name in order([first, second])}
            found[first].balance -= 10
            found[second].balance += 10
            found[first].save()
            found[second].save()
    return call

def seats(lock):
    """At most three orders of one product."""
    def call():
        with transaction.atomic():
            product = Product.objects.select_for_update().get(sku="a") if lock else Product.objects.get(sku="a")
            if Order.objects.filter(product=product).count() >= 1:
                return False
            Order.objects.create(product=product, quantity=1)
            return True
    return call

def at_most_one():
    assert Order.objects.count() <= 1, f"{Order.objects.count()} orders of at most 1"

def serializable(work, tries, level="SERIALIZABLE"):
    def call():
        for left in reversed(range(tries)):
            try:
                with transaction.atomic():
                    with connection.cursor() as cursor:
                        cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
                    return work()
            except OperationalError:
                if not left:
                    raise
    return call

def repeatable(work, tries):
    return serializable(work, tries, "REPEATABLE READ")

def take():
    product = Product.objects.get(sku="a")
    product.stock -= 1
    product.save()

def one_less_each():
    assert Product.objects.get(sku="a").stock == 8, f"{Product.objects.get(sku='a').stock} left, of 10, after 2"
'''

WRONG = (
    HEAD
    + """
def test_lost_update(shop, every_order):
    every_order(bought(1), bought(2), invariant=books)

def test_lost_update_without_invariant(shop, every_order):
    every_order(bought(1), bought(2))

def test_two_transactions(shop, every_order):
    every_order(post("/wrong/orders/", sku="a", n=1), post("/wrong/orders/", sku="a", n=2), invariant=books)

def test_looked_and_made(shop, every_order):
    every_order(post("/wrong/tags/", name="x"), post("/wrong/tags/", name="x"))

def test_deadlock(accounts, every_order):
    every_order(transfer("ann", "bob"), transfer("bob", "ann"))

def test_write_skew(shop, every_order):
    every_order(seats(lock=False), seats(lock=False), invariant=at_most_one)

def test_write_skew_without_invariant(shop, every_order):
    every_order(seats(lock=False), seats(lock=False))

def test_unique_key(shop, every_order):
    def call():
        product = Product.objects.get(sku="a")
        if not Order.objects.filter(key="k").exists():
            Order.objects.create(product=product, quantity=1, key="k")
    every_order(call, call)

def test_no_retry(shop, every_order):
    every_order(serializable(take, tries=1), serializable(take, tries=1))

def test_no_retry_of_repeatable_read(shop, every_order):
    every_order(repeatable(take, tries=1), repeatable(take, tries=1), preemptions=1)

def test_skew_in_spite_of_repeatable_read(shop, every_order):
    every_order(repeatable(seats(lock=False), tries=3), repeatable(seats(lock=False), tries=3), preemptions=1,
                invariant=at_most_one)

def test_cut_harms_the_other(shop, every_order):
    '''One request's lost connection opens a switch that nothing closes again.'''
    failed = []
    def call():
        if failed:
            raise RuntimeError("switched off")
        try:
            Product.objects.filter(sku="a").update(stock=F("stock") - 1)
        except DatabaseError:
            failed.append(True)
            raise
    every_order(call, call, before=failed.clear, cut=True, preemptions=1)

def test_left_open(shop, every_order):
    def call():
        transaction.set_autocommit(False)
        take()
    every_order(call, take)

def test_three(shop, every_order):
    every_order(take, take, take, preemptions=1)
"""
)

RIGHT = (
    HEAD
    + """
def test_locked(shop, every_order):
    every_order(locked(1), locked(2), invariant=books)

def test_locked_without_invariant(shop, every_order):
    every_order(locked(1), locked(2))

def test_locked_tag(shop, every_order):
    every_order(post("/tags/", name="x"), post("/tags/", name="x"))

def test_paid(shop, every_order):
    every_order(post("/pay/", sku="a", owner="ann"), post("/pay/", sku="a", owner="ann"), invariant=money)

def test_locks_in_one_order(accounts, every_order):
    every_order(transfer("ann", "bob", sorted), transfer("bob", "ann", sorted))

def test_lock_on_the_parent(shop, every_order):
    every_order(seats(lock=True), seats(lock=True), invariant=at_most_one)

def test_get_or_create(shop, every_order):
    def call():
        product = Product.objects.get(sku="a")
        Order.objects.get_or_create(key="k", defaults={"product": product, "quantity": 1})
    every_order(call, call)

def test_retries(shop, every_order):
    every_order(serializable(take, tries=3), serializable(take, tries=3), invariant=one_less_each)

def test_retries_without_invariant(shop, every_order):
    every_order(serializable(take, tries=3), serializable(take, tries=3))

def test_retries_of_repeatable_read(shop, every_order):
    every_order(repeatable(take, tries=3), repeatable(take, tries=3), invariant=one_less_each)

def test_skew_is_retried(shop, every_order):
    every_order(serializable(seats(lock=False), tries=3), serializable(seats(lock=False), tries=3),
                invariant=at_most_one, preemptions=1)

def test_f_expression(shop, every_order):
    def call():
        Product.objects.filter(sku="a", stock__gt=0).update(stock=F("stock") - 1)
    every_order(call, call, invariant=one_less_each)

def test_python_lock(shop, every_order):
    lock = threading.Lock()
    def call():
        with lock:
            take()
    every_order(call, call, invariant=one_less_each)

def test_sleeping(shop, every_order):
    def call():
        time.sleep(0.1)
        Product.objects.filter(sku="a").update(stock=F("stock") - 1)
        time.sleep(0.1)
    every_order(call, call, invariant=one_less_each, preemptions=0)

def test_async_client(shop, every_order):
    async def one():
        return await AsyncClient().post("/orders/", {"sku": "a", "n": 1})
    every_order(one, locked(2), invariant=books)

def test_allowed_error(accounts, every_order):
    every_order(transfer("ann", "bob"), transfer("bob", "ann"), errors="allow", preemptions=1)

def test_ignored_table(shop, every_order):
    every_order(post("/wrong/tags/", name="x"), post("/wrong/tags/", name="x"), ignore=["shop_tag"])

def test_with_cuts(shop, every_order):
    def call():
        with transaction.atomic():
            Product.objects.filter(sku="a").update(stock=F("stock") - 1)
            Tag.objects.create(name="taken")
    def both_or_none():
        assert Product.objects.get(sku="a").stock + Tag.objects.count() == 10, "half is done"
    every_order(call, call, invariant=both_or_none, cut=True, preemptions=1)

def test_receiver_is_no_step(shop, every_order):
    def ask(connection, **_):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM shop_product")
    connection_created.connect(ask)
    try:
        every_order(locked(1), locked(2), invariant=books)
    finally:
        connection_created.disconnect(ask)

def test_live_server(shop, live_server, every_order):
    def asks(n):
        data = urlencode({"sku": "a", "n": n}).encode()
        def call():
            with urlopen(f"{live_server.url}/orders/", data) as answer:
                assert answer.status == 201
        return call
    every_order(asks(1), asks(2), invariant=books)

def test_no_statement(shop, every_order):
    every_order(lambda: None, locked(1), invariant=books)

def test_three_in_order(shop, every_order):
    def call():
        Product.objects.filter(sku="a").update(stock=F("stock") - 1)
        return Product.objects.count()
    def three_less():
        assert Product.objects.get(sku="a").stock == 7
    every_order(call, call, call, invariant=three_less, preemptions=1)
"""
)

REPLAYS = (
    HEAD
    + """
from lab.application.actors import Wanted
from lab.application.ground import Ground
from lab.application.order_case import read_address
from lab.application.orders import Orders
from lab.pytest_plugin.application import _session

@pytest.mark.parametrize("name", ["lost update", "locked", "deadlock", "retries", "skew"])
def test_replays(name, accounts, request, times):
    calls, invariant = {
        "lost update": ([bought(1), bought(2)], books),
        "locked": ([locked(1), locked(2)], books),
        "deadlock": ([transfer("ann", "bob"), transfer("bob", "ann")], None),
        "retries": ([serializable(take, tries=3), serializable(take, tries=3)], one_less_each),
        "skew": ([seats(lock=False), seats(lock=False)], at_most_one),
    }[name]
    same = runs = deadlocks = 0
    with Ground(_session(request.config), ["default"]) as ground:
        orders = Orders(ground, calls, invariant, "broken")
        orders.begin()
        found = [each.case for each in orders.all(2)]
        while runs < times:
            for case in found:
                again = orders.play(Wanted(read_address(case.address, 2)[0])).case
                runs += 1
                deadlocks += case.deadlock
                if again.told == case.told and (case.deadlock or again.address == case.address):
                    same += 1
                else:
                    print("differs:", case.address, case.told, again.address, again.told, again.diverged)
    print(f"\\nREPLAYS {name}: {same} of {runs} agree, {deadlocks} with a deadlock, {len(found)} orders")
"""
)

REPLAYS_CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--times", type=int, default=40)

def pytest_generate_tests(metafunc):
    if "times" in metafunc.fixturenames:
        metafunc.parametrize("times", [metafunc.config.getoption("--times")])
"""
