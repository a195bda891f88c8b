"""The wrong views: each of these tests fails, and says why."""

import pytest
from books import asks, books, money, no_letter_too_many

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


def test_two_orders(shop, every_order):
    path = "/wrong/orders/unlocked/"
    every_order(asks(path, sku="a", n=1), asks(path, sku="a", n=2), invariant=books)


def test_two_tags_without_invariant(shop, every_order):
    every_order(asks("/wrong/tags/", name="new"), asks("/wrong/tags/", name="new"))
