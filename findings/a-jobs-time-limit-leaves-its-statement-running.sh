#!/bin/sh
# What surprises: a worker's time limit, which is an exception from a signal handler (RQ's job_timeout here; Celery's
# soft_time_limit is made alike), ends the Python code that waits for a statement, and not the statement. psycopg 3
# cancels a statement for KeyboardInterrupt and SystemExit; for any other exception it leaves it to the server and its
# connection in the midst of it, for good. In atomic(), the ROLLBACK fails, which nobody hears of, and Django closes the
# connection: the code that is to note the failure waits, behind the limit, for the locks of the statement that the
# limit has ended. In autocommit that code gets "another command is already in progress" for whatever it tries, and the
# server goes on and commits: the job is told to have failed, and its work is stored. psycopg2 hears no signal before
# the statement has ended: its limit comes late, with a connection that works.
# Seen with psycopg 3.3.9, psycopg2 2.9.13, Django 5.2.19, RQ 3.0.0, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages Django==5.2.19 psycopg2-binary==2.9.13 'psycopg[binary]==3.3.9' rq==3.0.0 redis==8.1.0
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import contextlib
import sys
import time

port, driver = sys.argv[1:]
if driver == "psycopg2":
    sys.modules["psycopg"] = None  # Django prefers it

import django
from django.conf import settings
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

where = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "NAME": "postgres", "USER": "finder"}
settings.configure(DATABASES={"default": {**where, "PORT": port}})
django.setup()

from django.db import OperationalError, connection, models, transaction

LIMIT, WORKS = 1, 5  # seconds


class Job(models.Model):
    number = models.IntegerField(primary_key=True)
    state = models.TextField()

    class Meta:
        app_label = "shop"
        db_table = "jobs"
        managed = False


def work():
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE jobs SET state = 'done' WHERE number = 1 RETURNING pg_sleep({WORKS})")


def told(block, ends_with):
    """When the limit was heard of, how the note of the failure fared, and what is stored in the end."""
    Job.objects.update_or_create(number=1, defaults={"state": "new"})
    began = time.monotonic()
    try:
        with UnixSignalDeathPenalty(LIMIT, ends_with), block():
            work()
    except ends_with:
        limit = time.monotonic()
    try:
        Job.objects.filter(number=1).update(state="failed")
        note = "at once" if time.monotonic() - limit < (WORKS - LIMIT) / 2 else "after the statement's end"
    except OperationalError as error:
        note = type(error).__name__
    connection.close()
    with transaction.atomic():  # waits for the lock of a statement that still runs
        stored = Job.objects.select_for_update().get(number=1).state
    return "in time" if limit - began < (LIMIT + WORKS) / 2 else "late", note, stored


with connection.cursor() as cursor:
    cursor.execute("DROP TABLE IF EXISTS jobs; CREATE TABLE jobs (number int PRIMARY KEY, state text)")
BLOCKS = {"atomic()": transaction.atomic, "autocommit": contextlib.nullcontext}
if driver == "psycopg2":
    expected = dict.fromkeys([(name, JobTimeoutException) for name in BLOCKS], ("late", "at once", "failed"))
else:
    cancelled = [(name, error) for error in (KeyboardInterrupt, SystemExit) for name in BLOCKS]
    expected = {
        ("atomic()", JobTimeoutException): ("in time", "after the statement's end", "failed"),
        ("autocommit", JobTimeoutException): ("in time", "OperationalError", "done"),
        **dict.fromkeys(cancelled, ("in time", "at once", "failed")),
    }
found = {(name, error): told(BLOCKS[name], error) for name, error in expected}
for (name, error), (limit, note, stored) in found.items():
    print(f"{driver}, {name}, {error.__name__}: comes {limit}; the failure's note: {note}; stored: {stored}")
sys.exit(found != expected)
PYTHON
for driver in psycopg2 psycopg; do timeout 90 "$PY" "$ROOT/see.py" "$DSN_PORT" "$driver"; done
