"""Faults planted in calls of many kinds: each is found, and its right twin is silent."""

from __future__ import annotations

import pytest

from fix_application import Project, Ran

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

PLANTED = """
import functools
import pytest
from django.core.cache import cache
from django.core.mail import send_mail
from django.core import mail
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from shop.models import Account, Letter, Order, Payment, Product, Tag
pytestmark = pytest.mark.django_db

def product():
    return Product.objects.get(sku="a")

# -- a retry decorator around the whole transaction, and one that knows what it has done

def retry(function):
    @functools.wraps(function)
    def retried(*args):
        for attempt in range(3):
            try:
                return function(*args)
            except (OperationalError, InterfaceError):
                connection.close()
                if attempt == 2:
                    raise
    return retried

@retry
def retried_wrong():
    with transaction.atomic():
        Order.objects.create(product=product(), quantity=1)

@retry
def retried_right():
    with transaction.atomic():
        Order.objects.get_or_create(key="of this click", defaults={"product": product(), "quantity": 1})

# -- an audit row whose loss is swallowed

def audited_wrong():
    with transaction.atomic():
        Order.objects.create(product=product(), quantity=1)
    try:
        Tag.objects.create(name="audit")
    except DatabaseError:
        pass

def audited_right():
    with transaction.atomic():
        Order.objects.create(product=product(), quantity=1)
        Tag.objects.create(name="audit")

# -- autocommit switched off by hand: Django itself mends what a failure leaves, but not what is swallowed

def manual_wrong():
    transaction.set_autocommit(False)
    try:
        Tag.objects.create(name="one")
        transaction.commit()
    except DatabaseError:
        connection.close()

def manual_right():
    transaction.set_autocommit(False)
    Tag.objects.create(name="one")
    transaction.commit()
    transaction.set_autocommit(True)

# -- a cache that is told before the database

def balance_is_cached_right():
    cached = cache.get("balance")
    real = Account.objects.get(owner="ann").balance
    assert cached in (None, real), f"{cached} in the cache, {real} on the account"

def cached_wrong():
    with transaction.atomic():
        account = Account.objects.select_for_update().get(owner="ann")
        account.balance -= 5
        cache.set("balance", account.balance)
        account.save()

def cached_right():
    with transaction.atomic():
        account = Account.objects.select_for_update().get(owner="ann")
        account.balance -= 5
        account.save()
        cache.delete("balance")

# -- a loop of single writes, where all or nothing was meant

def imported_wrong():
    for name in "abc":
        Tag.objects.create(name=name)

def imported_right():
    with transaction.atomic():
        for name in "abc":
            Tag.objects.create(name=name)

def all_or_nothing():
    assert Tag.objects.count() in (0, 3), f"{Tag.objects.count()} of 3"

# -- money that leaves before it arrives

def transfer_wrong():
    Account.objects.filter(owner="ann").update(balance=F("balance") - 10)
    Account.objects.filter(owner="bob").update(balance=F("balance") + 10)

def transfer_right():
    with transaction.atomic():
        transfer_wrong()

def no_money_lost():
    total = sum(Account.objects.values_list("balance", flat=True))
    assert total == 200, f"{total} of 200"

# -- a hook that is the only place where something happens

def hooked_wrong():
    with transaction.atomic():
        order = Order.objects.create(product=product(), quantity=1)
        transaction.on_commit(lambda: swallow(lambda: Payment.objects.create(order=order, amount=5)))

def swallow(call):
    try:
        call()
    except DatabaseError:
        pass

def hooked_right():
    with transaction.atomic():
        order = Order.objects.create(product=product(), quantity=1)
        Payment.objects.create(order=order, amount=5)

# -- a finally that hides the error

def hidden_wrong():
    done = False
    try:
        with transaction.atomic():
            Tag.objects.create(name="new")
            done = True
    finally:
        return done

def hidden_right():
    with transaction.atomic():
        Tag.objects.create(name="new")
    return True

# -- a deletion that is reported without having happened

def deleted_wrong():
    try:
        Product.objects.filter(sku="b").delete()
    except DatabaseError:
        connection.close()
    return "deleted"

def deleted_right():
    with transaction.atomic():
        Product.objects.filter(sku="b").delete()
    return "deleted"

INVARIANTS = {"cached": balance_is_cached_right, "imported": all_or_nothing, "transfer": no_money_lost}
CALLS = {name: call for name, call in globals().items() if name.endswith(("_wrong", "_right")) and callable(call)}
del CALLS["balance_is_cached_right"]

@pytest.fixture
def goods(transactional_db):
    Product.objects.create(sku="a", stock=10)
    Product.objects.create(sku="b", stock=10)
    Account.objects.create(owner="ann", balance=100)
    Account.objects.create(owner="bob", balance=100)
    cache.clear()

@pytest.mark.parametrize("name", CALLS)
def test_call(goods, every_cut, name):
    every_cut(CALLS[name], INVARIANTS.get(name.rpartition("_")[0]))
"""

FOUND = {
    "retried": "done twice",
    "audited": "success with half of its effect",
    "manual": "success without effect",
    "cached": "on the account",
    "imported": "of 3",
    "transfer": "invariant: 190 of 200",
    "hooked": "success with half of its effect",
    "hidden": "success without effect",
    "deleted": "success without effect",
}


RUNS = [
    ("psycopg", "fin"),
    pytest.param(("psycopg", "fin,rst"), marks=pytest.mark.nightly),
    pytest.param(("psycopg2", "fin,rst"), marks=pytest.mark.nightly),
]


@pytest.fixture(scope="module", params=RUNS, ids=" ".join)
def planted(project: Project, request: pytest.FixtureRequest) -> Ran:
    driver, ways = request.param
    project.write("test_planted.py", PLANTED)
    return project.pytest(f"--lab-driver={driver}", f"--lab-ways={ways}", "test_planted.py")


@pytest.mark.parametrize("name", FOUND)
def test_planted_fault_is_found_and_its_right_twin_silent(planted: Ran, name: str) -> None:
    assert planted.outcomes[f"test_call[{name}_right]"] == "passed", planted.report(f"test_call[{name}_right]")
    assert planted.outcomes[f"test_call[{name}_wrong]"] == "failed", planted.line(f"test_call[{name}_wrong]")
    assert FOUND[name] in planted.report(f"test_call[{name}_wrong]")
