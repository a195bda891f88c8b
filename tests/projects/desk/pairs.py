"""Each view of the desk, wrong and right."""

import pytest
from desk import outside
from desk.models import Booking, Counter, Invoice, Job, Seat, Wallet
from django.core import mail
from django.core.cache import cache
from django.db import connections
from django.test import AsyncClient, Client

pytestmark = pytest.mark.django_db
SIDES = pytest.mark.parametrize("side", ["wrong", "right"])


@pytest.fixture
def desk(transactional_db):
    Seat.objects.create(number=1)
    Wallet.objects.create(owner="ann", balance=100)
    Counter.objects.create(name="hits")
    Counter.objects.create(name="invoices")
    Job.objects.create()
    Job.objects.create()
    cache.clear()
    outside.clear()


def asks(side, name, **data):
    client = Client()
    return lambda: client.post(f"/{side}/{name}/", data)


ORDERS = {  # name -> the data of each request
    "spend": [{"amount": 30}, {"amount": 40}],
    "spend_unlocked_after": [{"amount": 30}, {"amount": 40}],
    "book_if_free": [{"guest": "ann"}, {"guest": "bob"}],
    "hit": [{}, {}],
    "visit": [{"mail": "x"}, {"mail": "x"}],
    "invoice_number": [{}, {}],
    "claim": [{}, {}],
    "join": [{"guest": "ann", "mail": "m"}, {"guest": "bob", "mail": "m"}],
    "replace_list": [{"guest": "ann"}, {"guest": "bob"}],
    "pay_over_http": [{"amount": 30}, {"amount": 40}],
}


@SIDES
@pytest.mark.parametrize("name", ORDERS)
def test_order(desk, every_order, side, name):
    every_order(*(asks(side, name, **data) for data in ORDERS[name]), before=outside.clear)


@SIDES
def test_order_edits(desk, every_order, side):
    every_order(asks(side, "edit_note", note="x"), asks(side, "edit_state", state="out"))


def test_order_cached_wrong(desk, every_order):
    def fresh():
        assert cache.get("balance") in (None, Wallet.objects.get().balance), "stale"

    def writer():
        Wallet.objects.update(balance=50)
        cache.delete("balance")

    every_order(asks("wrong", "cached_read"), writer, invariant=fresh)


def no_mail_too_many():
    assert len(mail.outbox) <= Booking.objects.count(), "mail without booking"


def cache_right():
    assert cache.get("bookings") in (None, Booking.objects.count()), f"{cache.get('bookings')} in the cache"


def event_once():
    assert Wallet.objects.get().balance == 105, Wallet.objects.get().balance


def with_invoice():
    assert Booking.objects.count() == Invoice.objects.count(), "a booking without its invoice"


def queued_are_there():
    assert set(outside.queue) <= set(Booking.objects.values_list("pk", flat=True)), "a job about nothing"


def all_or_none():
    assert Booking.objects.count() in (0, 6), f"{Booking.objects.count()} of 6"


def charged_is_known():
    assert len(outside.charged) <= Booking.objects.count(), "charged for nothing"


def taken_is_booked():
    assert (Seat.objects.get().state == "taken") == Booking.objects.exists(), "taken without a booking"


def one():
    assert Booking.objects.count() == 1, f"{Booking.objects.count()} bookings"


def done_has_invoice():
    assert Job.objects.filter(state="done").count() == Invoice.objects.count(), "done without"


def paid_is_booked():
    assert Wallet.objects.get().balance == 100 - 5 * Booking.objects.count(), "paid for nothing"


CUTS = {
    "mail_first": (no_mail_too_many, {}),
    "hook_outside": (no_mail_too_many, {}),
    "cache_counter": (cache_right, {}),
    "webhook": (event_once, {"retry": True}),
    "signalled": (with_invoice, {}),
    "enqueue": (queued_are_there, {}),
    "nested_except": (None, {}),
    "chunks": (all_or_none, {}),
    "charge_in_transaction": (charged_is_known, {}),
    "thanks": (None, {}),
    "retried_by_client": (None, {"retry": True}),
    "failing_hook": (one, {"retry": True, "ignore": ["desk_counter"]}),
    "status_before": (done_has_invoice, {}),
    "loop_with_skip": (None, {}),
    "reconnects": (None, {}),
    "manual_commit": (paid_is_booked, {}),
    "session_cart": (None, {"atomic": True}),
    "outside_cursor": (paid_is_booked, {}),
}
DATA = {"key": "k", "event": "e1"}


@SIDES
@pytest.mark.parametrize("name", CUTS)
def test_cut(desk, every_cut, side, name):
    invariant, options = CUTS[name]
    every_cut(asks(side, name, **DATA), invariant, before=outside.clear, **options)


@SIDES
def test_cut_not_atomic(desk, every_cut, side, request):
    settings = connections["default"].settings_dict
    settings["ATOMIC_REQUESTS"] = side == "right"
    request.addfinalizer(lambda: settings.update(ATOMIC_REQUESTS=False))
    every_cut(asks(side, "not_atomic"), taken_is_booked)


@SIDES
def test_cut_async(desk, every_cut, side):
    client = AsyncClient()

    async def call():
        return await client.post(f"/{side}/in_two_threads/")

    every_cut(call, paid_is_booked)
