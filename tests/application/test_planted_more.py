"""More faults planted as people write them, of orders above all: each is found, and its right twin is silent."""

from __future__ import annotations

import pytest

from fix_application import Project, Ran

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.nightly]

PLANTED = """
import threading
from pathlib import Path
import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, transaction
from django.db.models import F
from django.http import StreamingHttpResponse
from shop.models import Account, Order, Payment, Product, Tag
pytestmark = pytest.mark.django_db

def product():
    return Product.objects.get(sku="a")

def place(key=None):
    return Order.objects.create(product=product(), quantity=1, key=key)

# -- get_or_create without a unique constraint

def label_wrong():
    Tag.objects.get_or_create(name="vip")

@transaction.atomic
def label_right():
    Product.objects.select_for_update().get(sku="a")
    Tag.objects.get_or_create(name="vip")

# -- a counter that is read, added to, and written back

def count_wrong():
    account = Account.objects.get(owner="ann")
    account.balance += 5
    account.save()

def count_right():
    Account.objects.filter(owner="ann").update(balance=F("balance") + 5)

# -- a lock that is asked for and never taken: the query set is not evaluated

@transaction.atomic
def lazy_wrong():
    Product.objects.select_for_update().filter(sku="a")
    one = product()
    one.stock -= 1
    one.save()

@transaction.atomic
def lazy_right():
    one = Product.objects.select_for_update().filter(sku="a").get()
    one.stock -= 1
    one.save()

# -- locks in the order of the arguments

def moved(first, second, *, sort):
    with transaction.atomic():
        for owner in sorted([first, second]) if sort else [first, second]:
            Account.objects.select_for_update().get(owner=owner)
        Account.objects.filter(owner=first).update(balance=F("balance") - 10)
        Account.objects.filter(owner=second).update(balance=F("balance") + 10)

def locks_wrong():
    moved("ann", "bob", sort=False)

def locks_wrong_other():
    moved("bob", "ann", sort=False)

def locks_right():
    moved("ann", "bob", sort=True)

def locks_right_other():
    moved("bob", "ann", sort=True)

# -- looked first, then inserted what must be unique

def once_wrong():
    if not Order.objects.filter(key="k").exists():
        place("k")

def once_right():
    Order.objects.get_or_create(key="k", defaults={"product": product(), "quantity": 1})

# -- at most two orders, counted without a lock

def room_wrong():
    with transaction.atomic():
        if Order.objects.count() < 1:
            place()

@transaction.atomic
def room_right():
    Product.objects.select_for_update().get(sku="a")
    if Order.objects.count() < 1:
        place()

def one_order():
    assert Order.objects.count() <= 1, f"{Order.objects.count()} orders"

# -- enough on the account when it was looked at

def spend_wrong():
    if Account.objects.get(owner="ann").balance >= 60:
        Account.objects.filter(owner="ann").update(balance=F("balance") - 60)

def spend_right():
    Account.objects.filter(owner="ann", balance__gte=60).update(balance=F("balance") - 60)

def not_overdrawn():
    balance = Account.objects.get(owner="ann").balance
    assert balance >= 0, f"{balance} on the account"

# -- a lock of Python's that is given back before COMMIT

LOCK = threading.Lock()

@transaction.atomic
def mutex_wrong():
    with LOCK:
        one = product()
        one.stock -= 1
        one.save()

def mutex_right():
    with LOCK, transaction.atomic():
        one = product()
        one.stock -= 1
        one.save()

# -- a hook whose error Django only logs

@transaction.atomic
def robust_wrong():
    order = place()
    transaction.on_commit(lambda: Payment.objects.create(order=order, amount=5), robust=True)

@transaction.atomic
def robust_right():
    Payment.objects.create(order=place(), amount=5)

# -- two steps of an async function, each a transaction of its own

async def steps_wrong():
    order = await sync_to_async(place)()
    await Payment.objects.acreate(order=order, amount=5)

async def steps_right():
    await sync_to_async(robust_right)()

def paid():
    assert Order.objects.count() == Payment.objects.count(), f"{Payment.objects.count()} payments"

# -- a file that is written before COMMIT

RECEIPT = Path("receipt")

@transaction.atomic
def receipt_wrong():
    place()
    RECEIPT.write_text("paid")

@transaction.atomic
def receipt_right():
    place()
    transaction.on_commit(lambda: RECEIPT.write_text("paid"))

def no_receipt_alone():
    assert not RECEIPT.exists() or Order.objects.exists(), "a receipt for no order"

# -- a stream that goes on after an error

def stream_wrong():
    def parts():
        for name in "ab":
            try:
                Tag.objects.create(name=name)
            except DatabaseError:
                pass
            yield name
    return StreamingHttpResponse(parts())

def stream_right():
    with transaction.atomic():
        for name in "ab":
            Tag.objects.create(name=name)
    return StreamingHttpResponse(iter("ab"))

# -- an insertion that ignores conflicts, and a debit that does not know

@transaction.atomic
def debit_wrong():
    Order.objects.bulk_create([Order(product=product(), quantity=1, key="k")], ignore_conflicts=True)
    Account.objects.filter(owner="ann").update(balance=F("balance") - 5)

@transaction.atomic
def debit_right():
    _, created = Order.objects.get_or_create(key="k", defaults={"product": product(), "quantity": 1})
    if created:
        Account.objects.filter(owner="ann").update(balance=F("balance") - 5)

def debited_once():
    account, orders = Account.objects.get(owner="ann"), Order.objects.count()
    assert account.balance == 100 - 5 * orders, f"{account.balance} on the account after {orders}"

ORDERS = {"label": None, "count": None, "lazy": None, "locks": None, "once": None, "room": one_order,
          "spend": not_overdrawn, "mutex": None}
CUTS = {"robust": None, "steps": paid, "receipt": no_receipt_alone, "stream": None, "debit": debited_once}

@pytest.fixture
def goods(transactional_db):
    Product.objects.create(sku="a", stock=10)
    Account.objects.create(owner="ann", balance=100)
    Account.objects.create(owner="bob", balance=100)

@pytest.mark.parametrize("side", ["wrong", "right"])
@pytest.mark.parametrize("name", ORDERS)
def test_order(goods, every_order, name, side):
    call = globals()[f"{name}_{side}"]
    every_order(call, globals().get(f"{name}_{side}_other", call), invariant=ORDERS[name])

@pytest.mark.parametrize("side", ["wrong", "right"])
@pytest.mark.parametrize("name", CUTS)
def test_cut(goods, every_cut, name, side):
    call = globals()[f"{name}_{side}"]
    every_cut(call, CUTS[name], retry=name == "debit", before=lambda: RECEIPT.unlink(missing_ok=True))
"""

FOUND = {
    "order[label": "not serial",
    "order[count": "not serial",
    "order[lazy": "not serial",
    "order[locks": "an error in this order only: deadlock detected",
    "order[once": "an error in this order only: IntegrityError",
    "order[room": "invariant: 2 orders",
    "order[spend": "invariant: -20 on the account",
    "order[mutex": "not serial",
    "cut[robust": "success with half of its effect",
    "cut[steps": "invariant: 0 payments",
    "cut[receipt": "invariant: a receipt for no order",
    "cut[stream": "success with",
    "cut[debit": "invariant: 90 on the account after 1",
}


@pytest.fixture(scope="module", params=["psycopg", "psycopg2"])
def planted(project: Project, request: pytest.FixtureRequest) -> Ran:
    project.write("test_planted_more.py", PLANTED)
    return project.pytest(f"--lab-driver={request.param}", "test_planted_more.py")


@pytest.mark.parametrize("name", FOUND)
def test_planted_fault_is_found_and_its_right_twin_silent(planted: Ran, name: str) -> None:
    right, wrong = f"test_{name}-right]", f"test_{name}-wrong]"
    assert planted.outcomes[right] == "passed", planted.report(right)
    assert planted.outcomes[wrong] == "failed", planted.line(wrong)
    assert FOUND[name] in planted.report(wrong)
