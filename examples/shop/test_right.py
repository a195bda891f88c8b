"""The right views: each of these tests passes."""

import pytest
from books import asks, books, letters, money
from shop.models import Order

pytestmark = pytest.mark.django_db


def test_order(shop, client, every_cut):
    every_cut(lambda: client.post("/orders/", {"sku": "a", "n": 1}), books)


def test_order_with_key_asked_again(shop, client, every_cut):
    def sold_once():
        books()
        assert_one_order()

    every_cut(lambda: client.post("/orders/keyed/", {"sku": "a", "n": 1, "key": "k1"}), sold_once, retry=True)


def assert_one_order():
    assert Order.objects.count() == 1, f"{Order.objects.count()} orders of one click"


def test_pay(shop, client, every_cut):
    every_cut(lambda: client.post("/pay/", {"sku": "a", "owner": "ann"}), money)


def test_mail(shop, client, every_cut):
    every_cut(lambda: client.post("/orders/mailed/", {"sku": "a"}), letters)


def test_tag(shop, client, every_cut):
    every_cut(lambda: client.post("/tags/", {"name": "new"}))


def test_two_orders(shop, every_order):
    every_order(asks("/orders/", sku="a", n=1), asks("/orders/", sku="a", n=2), invariant=books)


def test_two_tags(shop, every_order):
    every_order(asks("/tags/", name="new"), asks("/tags/", name="new"))


def test_two_payments(shop, every_order):
    every_order(asks("/pay/", sku="a", owner="ann"), asks("/pay/", sku="a", owner="ann"), invariant=money)
