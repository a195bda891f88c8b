#!/bin/sh
# What surprises: with psycopg 3, 'today' and 'now' written in a query stand still from its sixth execution on a
# session, and a literal like TIMESTAMPTZ '2026-01-01' keeps the time zone that the session had then: by default
# psycopg prepares what was executed five times, and PostgreSQL turns a literal into a value when it prepares. So a
# kept session asks for the orders of the day on which it prepared the query, day after day, and a session of a pool,
# whose clients set their own TimeZone, compares with another client's midnight. Nothing is raised, and a new session
# answers correctly. asyncpg prepares at the first execution; psycopg2 never does; a parameter is read at each
# execution and does not stand still, nor does now() or CURRENT_DATE. PostgreSQL's documentation warns of 'now' in
# prepared statements; with psycopg 3 nobody asked for one.
# Seen with psycopg 3.3.9, asyncpg 0.32.0, psycopg2 2.9.13, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages 'psycopg[binary]==3.3.9' asyncpg==0.32.0 psycopg2-binary==2.9.13
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import asyncio
import sys

import asyncpg
import psycopg
import psycopg2

WHERE = {"host": "127.0.0.1", "port": int(sys.argv[1]), "user": "finder"}
TIMES = 12
NOW = "SELECT CAST('now' AS timestamptz)::text"
NOW_OF_PARAMETER = "SELECT CAST(%s AS timestamptz)::text"
TODAY = "SELECT CAST('today' AS date)::text"
MIDNIGHT = "SELECT extract(epoch FROM TIMESTAMPTZ '2026-01-01')::int"
WEST, EAST = "Pacific/Pago_Pago", "Pacific/Kiritimati"  # 25 hours apart: never the same day
HOURS = 25


class Driver:
    def __init__(self, module, **options):
        self.connection = module.connect(**WHERE, dbname="postgres", **options)
        self.connection.autocommit = True

    def run(self, query, *parameters):
        with self.connection.cursor() as cursor:
            cursor.execute(query, parameters or None)
            return cursor.fetchone()[0] if cursor.description else None

    def close(self):
        self.connection.close()


class Asyncpg:
    def __init__(self):
        self.runner = asyncio.Runner()
        self.connection = self.runner.run(asyncpg.connect(**WHERE, database="postgres"))

    def run(self, query):
        return self.runner.run(self.connection.fetchval(query))

    def close(self):
        self.runner.run(self.connection.close())
        self.runner.close()


def distinct(driver, query, *parameters):
    return len({driver.run(query, *parameters) for _ in range(TIMES)})


def moved(driver, query):
    """What a session answers in the west, where the query was often run, and in the east."""
    driver.run(f"SET TimeZone = '{WEST}'")
    for _ in range(TIMES):
        west = driver.run(query)
    driver.run(f"SET TimeZone = '{EAST}'")
    return west, driver.run(query)


found = {}
for name, make in (
    ("psycopg", lambda: Driver(psycopg)),
    ("psycopg, prepare_threshold=None", lambda: Driver(psycopg, prepare_threshold=None)),
    ("asyncpg", Asyncpg),
    ("psycopg2", lambda: Driver(psycopg2)),
):
    driver = make()
    times = distinct(driver, NOW)
    days = len(set(moved(driver, TODAY)))
    west, east = moved(driver, MIDNIGHT)
    found[name] = times, days, (west - east) // 3600
    driver.close()
    print(
        f"{name}: 'now' is {times} times in {TIMES} executions; 'today' on both sides of the date line is {days} days; "
        f"midnight there is {found[name][2]} of {HOURS} hours apart"
    )
driver = Driver(psycopg)
parameter = distinct(driver, NOW_OF_PARAMETER, "now")
driver.close()
print(f"psycopg, as a parameter: 'now' is {parameter} times in {TIMES} executions")
moves = TIMES, 2, HOURS
expected = {"psycopg": (6, 1, 0), "psycopg, prepare_threshold=None": moves, "asyncpg": (1, 1, 0), "psycopg2": moves}
sys.exit(found != expected or parameter != TIMES)
PYTHON
timeout 60 "$PY" "$ROOT/see.py" "$DSN_PORT"
