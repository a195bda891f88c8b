"""Products with a stock, accounts with a balance, orders and their payments."""

from django.db import models


class Product(models.Model):
    sku = models.CharField(max_length=20, unique=True)
    stock = models.IntegerField()
    price = models.IntegerField(default=5)


class Account(models.Model):
    owner = models.CharField(max_length=20, unique=True)
    balance = models.IntegerField()


class Order(models.Model):
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    quantity = models.IntegerField()
    key = models.CharField(max_length=40, unique=True, null=True)  # noqa: DJ001 - without one unless the client sent it
    created = models.DateTimeField(auto_now_add=True)


class Payment(models.Model):
    order = models.OneToOneField(Order, on_delete=models.CASCADE)
    amount = models.IntegerField()


class Tag(models.Model):
    name = models.CharField(max_length=20)


class Letter(models.Model):
    """The outbox: mail that is to be sent, and whether it was."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE)
    sent = models.BooleanField(default=False)
