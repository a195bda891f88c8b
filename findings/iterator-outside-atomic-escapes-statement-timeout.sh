#!/bin/sh
# What surprises: statement_timeout does not end a query that Django's iterator() reads outside of atomic(); the same
# query is ended when list() reads it, or iterator() within atomic(). Outside, Django declares its server-side cursor WITH
# HOLD, whose rows are computed, all of them, when the statement's own transaction commits, and PostgreSQL stops the
# timer before it commits. So with a limit of one second for each statement an application waits for the whole query,
# also where it wants one row. Nor is anything else that a COMMIT computes bounded, such as a deferred trigger, although
# the timer is documented to run until the server has completed the command.
# transaction_timeout bounds both, and costs the session.
# Seen with Django 5.2.19, psycopg2 2.9.13, psycopg 3.3.9, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages Django==5.2.19 psycopg2-binary==2.9.13 'psycopg[binary]==3.3.9'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import sys
import time

port, driver = sys.argv[1:]
if driver == "psycopg2":
    sys.modules["psycopg"] = None  # Django prefers it

import django
from django.conf import settings

LIMIT, WORKS = 1, 4  # seconds
settings.configure(
    DATABASES={
        alias: {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "PORT": port,
            "NAME": "postgres",
            "USER": "finder",
            "OPTIONS": {"options": f"-c {alias}_timeout={LIMIT}s"} if alias != "default" else {},
        }
        for alias in ("default", "statement", "transaction")
    }
)
django.setup()

from django.db import DatabaseError, connection, connections, models, transaction


class Line(models.Model):
    number = models.IntegerField(primary_key=True)

    class Meta:
        app_label = "shop"
        db_table = "lines"
        managed = False


class Slow(models.Model):
    number = models.IntegerField(primary_key=True)

    class Meta:
        app_label = "shop"
        db_table = "slow_lines"  # a view: each of its rows takes a second
        managed = False


with connection.cursor() as cursor:
    cursor.execute(
        "DROP VIEW IF EXISTS slow_lines; DROP TABLE IF EXISTS lines; CREATE TABLE lines (number int PRIMARY KEY);"
        f"CREATE VIEW slow_lines AS SELECT number FROM generate_series(1, {WORKS}) number, pg_sleep(number * 0 + 1);"
        "CREATE OR REPLACE FUNCTION works() RETURNS trigger LANGUAGE plpgsql AS "
        f"'BEGIN PERFORM pg_sleep({WORKS}); RETURN NULL; END';"
        "CREATE CONSTRAINT TRIGGER works AFTER INSERT ON lines DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION works()"
    )


def by_list(alias):
    list(Slow.objects.using(alias))


def by_iterator(alias):
    next(Slow.objects.using(alias).iterator(chunk_size=1))


def by_iterator_in_atomic(alias):
    with transaction.atomic(using=alias):
        list(Slow.objects.using(alias).iterator(chunk_size=WORKS))


def by_commit(alias):
    Line.objects.using(alias).all().delete()
    with transaction.atomic(using=alias):
        Line.objects.using(alias).create(number=1)


def told(work, timer):
    began = time.monotonic()
    said = "done"
    try:
        work(timer)
    except DatabaseError:  # psycopg's for transaction_timeout is an InternalError
        said = "ended"
    took = time.monotonic() - began
    connections[timer].close()
    return said, "late" if took >= WORKS - 0.1 else "in time"


changed = False
for timer in ("statement", "transaction"):
    found = {work.__name__: told(work, timer) for work in (by_list, by_iterator, by_iterator_in_atomic, by_commit)}
    print(f"{driver}, {timer}_timeout of {LIMIT} s, {WORKS} s of work: {found}")
    escapes = ("done", "late") if timer == "statement" else ("ended", "in time")
    changed |= list(found.values()) != [("ended", "in time"), escapes, ("ended", "in time"), escapes]
sys.exit(changed)
PYTHON
for driver in psycopg2 psycopg; do timeout 120 "$PY" -W ignore "$ROOT/see.py" "$DSN_PORT" "$driver"; done
