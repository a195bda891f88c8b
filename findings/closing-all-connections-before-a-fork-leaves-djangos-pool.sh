#!/bin/sh
# What surprises: `connections.close_all()` before a fork, which keeps the children of a Django process from sharing its
# session, does not with Django's own pool: it gives the session back to the pool, every child inherits the pool with
# the open session in it, and the next query of each is sent on that one. They are in one transaction then: a block that
# a child rolls back is stored, because another child's COMMIT has committed it, and no error is raised in either. So in
# any process that has made a query before it forks: a preloading gunicorn, multiprocessing by fork, a command.
# connection.close_pool() before the fork keeps them apart. psycopg's documentation says that processes cannot share a
# connection; who has closed all of them does not think of one.
# Seen with Django 5.2.19, psycopg_pool 3.3.1, psycopg 3.3.9, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages Django==5.2.19 'psycopg[binary]==3.3.9' 'psycopg-pool==3.3.1'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import multiprocessing
import sys

import django
from django.conf import settings

where = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "NAME": "postgres", "USER": "finder"}
where["PORT"] = sys.argv[1]
settings.configure(
    DATABASES={
        "default": where,
        "pooled": {**where, "OPTIONS": {"pool": True}},
        "pool_closed": {**where, "OPTIONS": {"pool": True}},
    }
)
django.setup()

from django.db import connections, models, transaction

STEP = 20  # seconds, the longest that a process waits for the other
fork = multiprocessing.get_context("fork")


class Order(models.Model):
    buyer = models.TextField(primary_key=True)

    class Meta:
        app_label = "shop"
        db_table = "orders"
        managed = False


class PaymentRefused(Exception):
    pass


def refused(alias, ordered, other_done, told):
    """A child whose block is rolled back, after another child has had one of its own."""
    try:
        with transaction.atomic(using=alias):
            Order.objects.using(alias).create(buyer="refused")
            ordered.set()
            assert other_done.wait(STEP)
            raise PaymentRefused
    except Exception as error:
        told.put(("refused", type(error).__name__))


def paid(alias, ordered, other_done, told):
    assert ordered.wait(STEP)
    try:
        with transaction.atomic(using=alias):
            Order.objects.using(alias).create(buyer="paid")
        told.put(("paid", "committed"))
    except Exception as error:
        told.put(("paid", type(error).__name__))
    other_done.set()


def after_fork(alias):
    """What two children are told of their blocks, and what is stored."""
    Order.objects.using(alias).all().delete()
    connections.close_all()
    if alias == "pool_closed":
        connections[alias].close_pool()
    shared = alias, fork.Event(), fork.Event(), fork.Queue()
    children = [fork.Process(target=child, args=shared) for child in (refused, paid)]
    for child in children:
        child.start()
    told = dict(shared[-1].get(timeout=STEP) for _ in children)
    for child in children:
        child.join(STEP)
    return told, sorted(Order.objects.using("default").values_list("buyer", flat=True))


with connections["default"].cursor() as cursor:
    cursor.execute("DROP TABLE IF EXISTS orders; CREATE TABLE orders (buyer text PRIMARY KEY)")
found = {alias: after_fork(alias) for alias in ("default", "pooled", "pool_closed")}
for alias, (told, stored) in found.items():
    print(f"{alias}: the children are told {told}; stored: {stored}")
told = {"refused": "PaymentRefused", "paid": "committed"}
own = told, ["paid"]
sys.exit(found != {"default": own, "pooled": (told, ["paid", "refused"]), "pool_closed": own})
PYTHON
timeout 90 "$PY" -W ignore "$ROOT/see.py" "$DSN_PORT"
