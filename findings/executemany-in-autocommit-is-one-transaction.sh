#!/bin/sh
# What surprises: in autocommit, executemany() of psycopg 3 is a transaction that nobody asked for. It sends its rows in
# a pipeline with one Sync at the end, so that the server commits them together, and each of them keeps its locks until
# the last is done: two workers in autocommit which count the same rows in different order deadlock, which cannot happen
# with psycopg2 (it commits each row). But it is no transaction either: what an error leaves depends on who refused the
# row. One that the server refuses (here by a unique constraint) undoes all before it; one that the client refuses (no
# way to adapt a value, a wrong number of values, an exception of the generator that yields them) commits all before it.
# psycopg2 keeps the rows before the bad one each time. The documentation of executemany() speaks of a pipeline for
# speed. The same with Django's cursor, whose connection is in autocommit unless told otherwise.
# Seen with psycopg 3.3.9, psycopg2 2.9.13, Django 5.2.19, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages Django==5.2.19 psycopg2-binary==2.9.13 'psycopg[binary]==3.3.9'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import queue
import sys
import threading
import time

port, driver = sys.argv[1:]
if driver == "psycopg2":
    sys.modules["psycopg"] = None  # Django prefers it

import django
from django.conf import settings

where = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "NAME": "postgres", "USER": "finder"}
settings.configure(DATABASES={"default": {**where, "PORT": port}})
django.setup()

from django.db import Error, OperationalError, connection, transaction

ADD = "INSERT INTO lines (number) VALUES (%s)"
COUNT = "UPDATE counters SET value = value + 1 WHERE number = %s"


def stops():
    yield from ((1,), (2,))
    raise LookupError("the source of the rows has failed")


def left_by(rows):
    """What executemany() has stored when it raises at the third row."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS lines; CREATE TABLE lines (number int PRIMARY KEY)")
        try:
            cursor.executemany(ADD, rows)
        except (Error, LookupError):
            cursor.execute("SELECT number FROM lines ORDER BY number")
            return [number for (number,) in cursor.fetchall()]


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the workers are not where they should be"


def two_workers():
    """How executemany() ends in two threads, of which neither has a transaction: one counts 1, 2, 3, the other 3, 1."""
    ended = queue.Queue()

    def count(*numbers):
        said = "done"
        try:
            with connection.cursor() as cursor:
                cursor.executemany(COUNT, [(number,) for number in numbers])
        except OperationalError as error:
            said = type(error.__cause__).__name__
        connection.close()
        ended.put(said)

    def waiting():
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]

    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS counters; CREATE TABLE counters (number int PRIMARY KEY, value int)")
        cursor.execute("INSERT INTO counters SELECT number, 0 FROM generate_series(1, 3) number")
        with transaction.atomic():
            cursor.execute("SELECT FROM counters WHERE number = 2 FOR UPDATE")  # the first is to stop here
            threading.Thread(target=count, args=(1, 2, 3), daemon=True).start()
            until(lambda: waiting() == 1)
            threading.Thread(target=count, args=(3, 1), daemon=True).start()
            until(lambda: waiting() == 2 or not ended.empty())
    return sorted(ended.get(timeout=20) for _ in range(2))


refused = {
    "by the server": [(1,), (2,), (2,), (4,)],
    "by the client: a value": [(1,), (2,), (object(),), (4,)],
    "by the client: a number of values": [(1,), (2,), (), (4,)],
    "by their source": stops(),
}
left = {by: left_by(rows) for by, rows in refused.items()}
workers = two_workers()
print(f"{driver}: the third row is refused; stored: {left}")
print(f"{driver}: two workers count the same rows: {workers}")
expected = dict.fromkeys(refused, [1, 2])
if driver == "psycopg":
    expected["by the server"] = []
sys.exit((left, workers) != (expected, ["DeadlockDetected", "done"] if driver == "psycopg" else ["done", "done"]))
PYTHON
for driver in psycopg2 psycopg; do timeout 60 "$PY" "$ROOT/see.py" "$DSN_PORT" "$driver"; done
