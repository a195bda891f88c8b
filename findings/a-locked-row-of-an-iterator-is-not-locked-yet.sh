#!/bin/sh
# What surprises: `for row in queryset.select_for_update().iterator()` locks the rows that it has fetched, not the rows
# of the query. Within atomic(), Django reads iterator() by a server-side cursor, and PostgreSQL locks a row when it is
# fetched; whatever comes after the current chunk others may change, take and delete while the loop runs. Nothing waits
# and nothing is raised: the loop meets other values and fewer rows than were there when it began, and a row added since
# is not seen. With nowait=True the error comes in the middle of the loop, when its first rows are worked on already. A
# table smaller than chunk_size (2000) is locked whole by the first row, so is one read by list() or with
# DISABLE_SERVER_SIDE_CURSORS. Django's documentation says that all matched entries are locked when the queryset is
# evaluated, and of iterator() nothing to that.
# Seen with Django 5.2.19, psycopg2 2.9.13, psycopg 3.3.9, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages Django==5.2.19 psycopg2-binary==2.9.13 'psycopg[binary]==3.3.9'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import sys

port, driver = sys.argv[1:]
if driver == "psycopg2":
    sys.modules["psycopg"] = None  # Django prefers it

import django
from django.conf import settings

where = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "NAME": "postgres", "USER": "finder"}
settings.configure(
    DATABASES={
        "default": {**where, "PORT": port},
        "client_side": {**where, "PORT": port, "DISABLE_SERVER_SIDE_CURSORS": True},
        "other": {**where, "PORT": port},
    }
)
django.setup()

from django.db import OperationalError, connection, models, transaction
from django.db.models import F

ROWS, CHUNK = 10, 3


class Product(models.Model):
    number = models.IntegerField(primary_key=True)
    stock = models.IntegerField()

    class Meta:
        app_label = "shop"
        db_table = "products"
        managed = False


def fill():
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS products; CREATE TABLE products (number int PRIMARY KEY, stock int)")
    Product.objects.bulk_create(Product(number=number, stock=5) for number in range(1, ROWS + 1))


def locked():
    """The numbers of the rows that another session cannot have now."""
    with transaction.atomic(using="other"):
        free = Product.objects.using("other").select_for_update(skip_locked=True).values_list("number", flat=True)
        return sorted(set(range(1, ROWS + 1)) - set(free))


def others_work():
    """What others do while the loop is at its first row: sell, sell out, delete and add, each where no lock is."""
    products = Product.objects.using("other")
    held = locked()
    for number, work in {
        7: lambda row: row.update(stock=F("stock") - 1),
        8: lambda row: row.update(stock=0),
        9: lambda row: row.delete(),
    }.items():
        if number not in held:
            work(products.filter(number=number))
    products.create(number=ROWS + 1, stock=5)
    return held


def loop(rows):
    met, held = {}, None
    for row in rows:
        if held is None:
            held = others_work()
        met[row.number] = row.stock
    return held, met


def in_stock(alias, **how):
    return Product.objects.using(alias).filter(stock__gt=0).order_by("number").select_for_update(**how)


def nowait():
    """How many rows the loop was given before it was told that one is locked."""
    fill()
    given = 0
    with transaction.atomic(using="other"):
        Product.objects.using("other").select_for_update().get(number=ROWS)
        try:
            with transaction.atomic():
                for _ in in_stock("default", nowait=True).iterator(chunk_size=CHUNK):
                    given += 1
        except OperationalError:
            return given


EVERY = {number: 5 for number in range(1, ROWS + 1)}
FEWER = {**{number: 5 for number in range(1, 7)}, 7: 4, 10: 5}
expected = {
    "iterator()": (list(range(1, CHUNK + 1)), FEWER),
    "list()": (list(EVERY), EVERY),
    "iterator() of one chunk": (list(EVERY), EVERY),
    "iterator(), client-side cursor": (list(EVERY), EVERY),
}
found = {}
for name, alias, rows in (
    ("iterator()", "default", lambda queryset: queryset.iterator(chunk_size=CHUNK)),
    ("list()", "default", list),
    ("iterator() of one chunk", "default", lambda queryset: queryset.iterator()),
    ("iterator(), client-side cursor", "client_side", lambda queryset: queryset.iterator(chunk_size=CHUNK)),
):
    fill()
    with transaction.atomic(using=alias):
        found[name] = loop(rows(in_stock(alias)))
    print(f"{driver}, {name}: locked at its first row: {found[name][0]}; met (number: stock): {found[name][1]}")
refused = nowait()
print(f"{driver}, iterator(), nowait=True: refused after {refused} of {ROWS} rows")
sys.exit(found != expected or refused != ROWS - 1)
PYTHON
for driver in psycopg2 psycopg; do timeout 60 "$PY" "$ROOT/see.py" "$DSN_PORT" "$driver"; done
