"""Seats that are booked, wallets that pay, and what hangs on a booking."""

from django.db import models


class Seat(models.Model):
    number = models.IntegerField(unique=True)
    note = models.CharField(max_length=40, default="")
    state = models.CharField(max_length=10, default="free")


class Wallet(models.Model):
    owner = models.CharField(max_length=20, unique=True)
    balance = models.IntegerField()


class Booking(models.Model):
    seat = models.ForeignKey(Seat, on_delete=models.CASCADE)
    guest = models.CharField(max_length=20)
    state = models.CharField(max_length=10, default="open")
    key = models.CharField(max_length=40, unique=True, null=True)


class Invoice(models.Model):
    booking = models.ForeignKey(Booking, on_delete=models.CASCADE, null=True)
    number = models.IntegerField(default=0)


class Counter(models.Model):
    name = models.CharField(max_length=20, unique=True)
    value = models.IntegerField(default=0)


class Guest(models.Model):
    """Without a constraint on the mail address."""

    mail = models.CharField(max_length=40)
    visits = models.IntegerField(default=0)


class Member(models.Model):
    """With one."""

    mail = models.CharField(max_length=40, unique=True)
    visits = models.IntegerField(default=0)


class Event(models.Model):
    """A webhook's event that was seen."""

    number = models.CharField(max_length=40, unique=True)


class Job(models.Model):
    state = models.CharField(max_length=10, default="new")
    done = models.IntegerField(default=0)
