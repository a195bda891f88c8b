#!/bin/sh
# What surprises: a function given to transaction.on_commit() runs although nothing was committed. In an atomic() block a
# statement is refused and the application handles the error there, outside of an inner block. The server has aborted the
# transaction; Django was not told to roll back, so it sends COMMIT, which PostgreSQL answers with the command tag
# ROLLBACK and without an error. Neither driver raises, Django takes the block to be committed and runs the hooks: the
# mail is sent, and the order is not there. Had Django rolled back, because needs_rollback was set, no hook would run.
# Seen with Django 5.2.19, psycopg2-binary 2.9.13 and psycopg 3.3.9, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages django==5.2.19 psycopg2-binary==2.9.13 'psycopg[binary]==3.3.9'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import sys

import django
from django.conf import settings

driver, server = sys.argv[1], sys.argv[2]
if driver == "psycopg2":
    sys.modules["psycopg"] = None  # Django prefers it where it can be imported
where = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "NAME": "postgres", "USER": "finder"}
settings.configure(DATABASES={"default": {**where, "PORT": server}})
django.setup()
from django.db import DataError, connection, transaction

with connection.cursor() as cursor:
    cursor.execute("DROP TABLE IF EXISTS orders")
    cursor.execute("CREATE TABLE orders (id int)")


def stored():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orders")
        return cursor.fetchone()[0]


def view(*, refused, told):
    mails = []
    before = stored()
    with transaction.atomic():
        transaction.on_commit(lambda: mails.append("your order is placed"))
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO orders VALUES (1)")
        if refused:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1 / 0")
            except DataError:
                transaction.set_rollback(told)
    return {"stored": stored() - before, "mails": len(mails)}


found = {
    "no error": view(refused=False, told=False),
    "an error handled in the block": view(refused=True, told=False),
    "the same, and set_rollback(True)": view(refused=True, told=True),
}
print(f"{driver}: {found}")
sys.exit(
    found
    != {
        "no error": {"stored": 1, "mails": 1},
        "an error handled in the block": {"stored": 0, "mails": 1},
        "the same, and set_rollback(True)": {"stored": 0, "mails": 0},
    }
)
PYTHON
for driver in psycopg2 psycopg; do "$PY" "$ROOT/see.py" "$driver" "$DSN_PORT"; done
