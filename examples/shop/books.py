"""What must be true of the shop whatever happens, and how it is asked."""

from django.core import mail
from django.db.models import Sum
from django.test import Client
from shop.models import Account, Letter, Order, Payment, Product


def asks(path, **data):
    """A customer's request, by a client of its own."""
    client = Client()
    return lambda: client.post(path, data)


def books():
    """Each piece is in stock or sold."""
    sold = Order.objects.aggregate(n=Sum("quantity"))["n"] or 0
    stock = Product.objects.get(sku="a").stock
    assert stock + sold == 10, f"{stock} in stock and {sold} sold, of 10"


def money():
    """What the customer has paid is what the orders cost."""
    paid = Payment.objects.aggregate(n=Sum("amount"))["n"] or 0
    balance = Account.objects.get(owner="ann").balance
    assert balance + paid == 100, f"{balance} on the account and {paid} paid, of 100"


def letters():
    """No letter without its order; an order whose letter is not sent is still in the outbox."""
    assert len(mail.outbox) <= Order.objects.count(), "a letter about an order that is not there"
    unsent = Letter.objects.filter(sent=False).count()
    assert len(mail.outbox) + unsent >= Order.objects.count(), "an order without a letter"


def no_letter_too_many():
    """No letter without its order."""
    assert len(mail.outbox) <= Order.objects.count(), "a letter about an order that is not there"
