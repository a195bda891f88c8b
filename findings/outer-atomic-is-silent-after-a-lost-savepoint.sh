#!/bin/sh
# What surprises: Django's outer atomic() can end without any error although nothing of it is stored. The session is lost
# before the ROLLBACK TO SAVEPOINT of an inner block whose IntegrityError the application handles, as Django's
# documentation shows. The inner block cannot go back to its savepoint, notes that the outer one must roll back, and lets
# only the IntegrityError out. The outer block then rolls back, or closes the dead connection, and raises nothing: the
# view answers "created", and the row is gone.
# Seen with Django 5.2.19, both drivers: psycopg2-binary 2.9.13, psycopg 3.3.9. Exits 1 when that changes.
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
settings.configure(DATABASES={"default": {**where, "PORT": server}, "operator": {**where, "PORT": server}})
django.setup()
from django.db import IntegrityError, connection, connections, transaction

with connections["operator"].cursor() as operator:
    operator.execute("DROP TABLE IF EXISTS orders, seen")
    operator.execute("CREATE TABLE orders (id int)")
    operator.execute("CREATE TABLE seen (key int PRIMARY KEY)")
    operator.execute("INSERT INTO seen VALUES (1)")


def view(*, lost):
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO orders VALUES (1)")
            cursor.execute("SELECT pg_backend_pid()")
            session = cursor.fetchone()[0]
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                try:
                    cursor.execute("INSERT INTO seen VALUES (1)")
                finally:
                    if lost:
                        with connections["operator"].cursor() as operator:
                            operator.execute("SELECT pg_terminate_backend(%s, 5000)", [session])
        except IntegrityError:
            pass  # seen before
    return "created"


def orders():
    with connections["operator"].cursor() as operator:
        operator.execute("SELECT count(*) FROM orders")
        return operator.fetchone()[0]


answers = []
for lost in (False, True):
    before = orders()
    try:
        said = view(lost=lost)
    except django.db.Error as error:
        said = type(error).__name__
    answers.append((said, orders() - before))
    connection.close()
print(f"{driver}: without a loss {answers[0]}, session lost before ROLLBACK TO {answers[1]}")
sys.exit(answers != [("created", 1), ("created", 0)])
PYTHON
for driver in psycopg2 psycopg; do "$PY" "$ROOT/see.py" "$driver" "$DSN_PORT"; done
