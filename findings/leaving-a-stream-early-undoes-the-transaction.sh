#!/bin/sh
# What surprises: a transaction in which no statement failed stores nothing, and says nothing. An application inserts a
# row, reads by psycopg 3's stream() until it has found what it wanted, and leaves the loop and its block. Closing
# the generator cancels the query that still runs; the error of the cancellation is swallowed, but the server has aborted
# the transaction, and answers COMMIT with the tag ROLLBACK. Nothing is raised by the connection's own block, by
# transaction() or by Django's atomic(), whose on_commit() hooks run. A result that is small enough to have been sent
# whole loses nothing, so that tests with little data pass. contextlib.closing(), which psycopg's documentation recommends
# "to restore the connection to a working state", does the same. Only a further statement in the block would hear of it.
# Seen with psycopg 3.3.9, Django 5.2.19, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages Django==5.2.19 'psycopg[binary]==3.3.9'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import contextlib
import sys

import django
import psycopg
from django.conf import settings

WHERE = {"host": "127.0.0.1", "port": sys.argv[1], "user": "finder", "dbname": "postgres"}
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": WHERE["host"],
            "PORT": WHERE["port"],
            "NAME": WHERE["dbname"],
            "USER": WHERE["user"],
        }
    }
)
django.setup()

from django.db import connection as djangos
from django.db import transaction

SMALL, LARGE = 10, 10_000_000
operator = psycopg.connect(**WHERE, autocommit=True)
operator.execute("CREATE TABLE orders (id int)")


def work(cursor, rows, *, whole=False, closing=False):
    cursor.execute("INSERT INTO orders VALUES (1)")
    stream = cursor.stream(f"SELECT generate_series(1, {rows})")
    with contextlib.closing(stream) if closing else contextlib.nullcontext():
        for (number,) in stream:
            if number == 5 and not whole:
                break
    del stream


def in_connections_block(*arguments, **how):
    with psycopg.connect(**WHERE) as connection, connection.cursor() as cursor:
        work(cursor, *arguments, **how)
    return ()


def in_transaction(*arguments, **how):
    with psycopg.connect(**WHERE, autocommit=True) as connection:
        with connection.transaction(), connection.cursor() as cursor:
            work(cursor, *arguments, **how)
    return ()


def in_atomic(*arguments, **how):
    mails = []
    with transaction.atomic(), djangos.cursor() as cursor:
        transaction.on_commit(lambda: mails.append("your order is placed"))
        work(cursor, *arguments, **how)
    return (f"{len(mails)} mail",)


def told(block, *arguments, **how):
    before = operator.execute("SELECT count(*) FROM orders").fetchone()[0]
    try:
        said = ("no error", *block(*arguments, **how))
    except Exception as error:
        said = (type(error).__name__,)
    return f"{operator.execute('SELECT count(*) FROM orders').fetchone()[0] - before} stored", *said


changed = False
for block in (in_connections_block, in_transaction, in_atomic):
    mail = ("1 mail",) if block is in_atomic else ()
    found = {
        "small, left early": told(block, SMALL),
        "large, read whole": told(block, LARGE // 100, whole=True),
        "large, left early": told(block, LARGE),
        "large, left early, closing()": told(block, LARGE, closing=True),
    }
    print(f"{block.__name__}: {found}")
    kept, lost = ("1 stored", "no error", *mail), ("0 stored", "no error", *mail)
    changed |= list(found.values()) != [kept, kept, lost, lost]
sys.exit(changed)
PYTHON
timeout 120 "$PY" "$ROOT/see.py" "$DSN_PORT"
