#!/bin/sh
# What surprises: a `break` out of `async for … in queryset.aiterator()` makes the event loop itself wait for a database.
# aiterator() fetches in the thread that sync_to_async() has for the connection, and holds a synchronous generator. When
# the loop is left early nobody closes that one: it is collected in the event loop's thread, and there its server-side
# cursor sends CLOSE and waits for the answer, on a connection that belongs to another thread. Where that thread runs a
# statement, the driver's lock makes the loop wait until it has ended, and no other request of the process is served.
# Read whole, the same query stops nothing; neither does one of few rows, nor DISABLE_SERVER_SIDE_CURSORS.
# Seen with Django 5.2.19, asgiref 3.13.0, psycopg2 2.9.13, psycopg 3.3.9, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages Django==5.2.19 asgiref==3.13.0 psycopg2-binary==2.9.13 'psycopg[binary]==3.3.9'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import asyncio
import sys
import time

port, driver = sys.argv[1:]
if driver == "psycopg2":
    sys.modules["psycopg"] = None  # Django prefers it

import django
from asgiref.sync import sync_to_async
from django.conf import settings

where = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "NAME": "postgres", "USER": "finder"}
settings.configure(
    DATABASES={
        "default": {**where, "PORT": port},
        "client_side": {**where, "PORT": port, "DISABLE_SERVER_SIDE_CURSORS": True},
        "operator": {**where, "PORT": port},
    }
)
django.setup()

from django.db import connections, models

WORKS = 3  # seconds


class Line(models.Model):
    number = models.IntegerField(primary_key=True)

    class Meta:
        app_label = "shop"
        db_table = "lines"
        managed = False


@sync_to_async
def run(alias, text):
    with connections[alias].cursor() as cursor:
        cursor.execute(text)


def until_it_runs():
    """In a thread of its own: wait until the server works on the statement."""
    deadline = time.monotonic() + WORKS
    with connections["operator"].cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
            if cursor.rowcount:
                break
    connections["operator"].close()


async def standstill(alias, rows, *, whole):
    """The longest time, in seconds, for which the event loop did nothing while a statement of WORKS seconds ran."""
    longest = 0.0

    async def beat():
        nonlocal longest
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - began)

    beating = asyncio.create_task(beat())
    statement = None
    async for _ in Line.objects.using(alias).filter(number__lte=rows).aiterator(chunk_size=100):
        if statement is None:
            statement = asyncio.create_task(run(alias, f"SELECT pg_sleep({WORKS})"))
            await asyncio.to_thread(until_it_runs)
        if not whole:
            break
    await statement
    await asyncio.sleep(0.1)
    beating.cancel()
    return longest


async def main():
    await run("default", "DROP TABLE IF EXISTS lines; CREATE TABLE lines AS SELECT generate_series(1, 10000) AS number")
    found = {
        "read whole": await standstill("default", 10_000, whole=True),
        "left early": await standstill("default", 10_000, whole=False),
        "left early, few rows": await standstill("default", 50, whole=False),
        "left early, client-side cursor": await standstill("client_side", 10_000, whole=False),
    }
    stopped = [name for name, longest in found.items() if longest > WORKS / 2]
    stood = ", ".join(f"{longest:.1f} s ({name})" for name, longest in found.items())
    print(f"{driver}: a statement takes {WORKS} s; the event loop stood still for {stood}")
    return stopped


sys.exit(asyncio.run(main()) != ["left early"])
PYTHON
for driver in psycopg2 psycopg; do timeout 60 "$PY" "$ROOT/see.py" "$DSN_PORT" "$driver"; done
