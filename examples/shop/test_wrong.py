"""The wrong views: each of these tests fails, and says why."""

import pytest
from books import books, money, no_letter_too_many

pytestmark = pytest.mark.django_db


def test_order(shop, client, every_cut):
    every_cut(lambda: client.post("/wrong/orders/", {"sku": "a", "n": 1}), books)


def test_order_asked_again(shop, client, every_cut):
    every_cut(lambda: client.post("/orders/", {"sku": "a", "n": 1}), retry=True)


def test_pay(shop, client, every_cut):
    every_cut(lambda: client.post("/wrong/pay/", {"sku": "a", "owner": "ann"}), money)


def test_pay_without_invariant(shop, client, every_cut):
    every_cut(lambda: client.post("/wrong/pay/", {"sku": "a", "owner": "ann"}))


def test_mail(shop, client, every_cut):
    every_cut(lambda: client.post("/wrong/orders/mailed/", {"sku": "a"}), no_letter_too_many)


def test_retry_middleware(shop, client, every_cut, settings):
    settings.MIDDLEWARE = ["shop.wrong.RetryEverything"]
    every_cut(lambda: client.post("/wrong/orders/", {"sku": "a", "n": 1}))
