#!/bin/sh
# What surprises: an IntegrityError that an inner atomic() handles, as get_or_create() does, makes psycopg 3 forget and
# deallocate every statement that it has prepared on that session, and all its counts. What undoes the inner block is
# ROLLBACK TO SAVEPOINT; its command tag reads ROLLBACK, as that of a whole rollback does, after which psycopg clears its
# cache because a table might have gone. Of 60 equal queries 55 run prepared without conflicts, and 10 with one after each
# third: the statement is then prepared for its sixth run and deallocated after it, again and again, which costs more than
# never to prepare. The counts survive a conflict only while nothing is prepared.
# Seen with Django 5.2.19, psycopg 3.3.9 (prepare_threshold 5, its default, which Django turns off), PostgreSQL 18.6.
# Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages Django==5.2.19 'psycopg[binary]==3.3.9'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import sys

import django
from django.conf import settings

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "PORT": sys.argv[1],
            "NAME": "postgres",
            "USER": "finder",
            "OPTIONS": {"prepare_threshold": 5, "server_side_binding": True},
        }
    }
)
django.setup()

from django.db import IntegrityError, connection, transaction

QUERY = "SELECT %s + 1"


def one(text, values=None):
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchone()[0]


def conflict():
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO one (key) VALUES (1)")
    except IntegrityError:
        return


def prepared_runs(every):
    """How many of 60 equal queries ran by a statement that the server holds; a conflict comes after each `every`."""
    connection.close()
    runs = 0
    with transaction.atomic():
        for number in range(1, 61):
            one(QUERY, [number])
            held = one("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT $1 + 1'")
            runs += held
            if every and number % every == 0:
                conflict()
    return runs


with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE one (key int PRIMARY KEY)")
    cursor.execute("INSERT INTO one VALUES (1)")
found = {"no conflict": prepared_runs(0), "one after each 20": prepared_runs(20), "one after each 3": prepared_runs(3)}
print(f"of 60 equal queries in one transaction, run prepared: {found}")
sys.exit(found != {"no conflict": 55, "one after each 20": 45, "one after each 3": 10})
PYTHON
timeout 120 "$PY" "$ROOT/see.py" "$DSN_PORT"
