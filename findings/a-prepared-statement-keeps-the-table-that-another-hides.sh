#!/bin/sh
# What surprises: a prepared statement does not notice a table that is created in front of its own in the search_path.
# With psycopg 3, which by default prepares what was executed five times, two sessions with one search_path read two
# tables for one query, by how often each has run it: where a tenant gets its own table beside the public one, a kept
# session reads and writes the public one on, without an error, and a new session does not find what that one has
# stored. It ends by itself when the old table is next analyzed, in production by autovacuum at no time of anybody's
# choosing. The same session's own second temporary table is not noticed either, though the first one is. PostgreSQL's
# documentation says that a prepared statement is analyzed again when search_path changes; here it does not change.
# DISCARD PLANS ends it at once; it is not there where nothing is prepared (psycopg2, prepare_threshold=None).
# Seen with psycopg 3.3.9, psycopg2 2.9.13, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages 'psycopg[binary]==3.3.9' psycopg2-binary==2.9.13
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import sys

import psycopg
import psycopg2

DSN = f"host=127.0.0.1 port={sys.argv[1]} user=finder dbname=postgres client_encoding=UTF8"
READ = "SELECT string_agg(whose, ', ' ORDER BY whose) FROM orders"
WRITE = "INSERT INTO orders VALUES ('written')"
PREPARED = 6  # executions by which psycopg 3 has prepared a statement


def connect(driver=psycopg, **options):
    connection = driver.connect(DSN, **options)
    connection.autocommit = True
    run(connection, "SET search_path = tenant, public")
    return connection


def run(connection, query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0] if cursor.description else None


def kept(times, driver=psycopg, **options):
    """A session that has read, and written, so often."""
    connection = connect(driver, **options)
    for _ in range(times):
        run(connection, READ)
        run(connection, WRITE)
    return connection


def begin():
    run(operator, "DROP SCHEMA IF EXISTS tenant CASCADE; DROP TABLE IF EXISTS public.orders")
    run(operator, "CREATE SCHEMA tenant; CREATE TABLE public.orders (whose text) WITH (autovacuum_enabled = off)")


def moved():
    """The tenant gets a table of its own."""
    run(operator, "DELETE FROM public.orders; INSERT INTO public.orders VALUES ('public')")
    run(operator, "CREATE TABLE tenant.orders AS SELECT 'tenant' AS whose")


def after(end, times=PREPARED, **options):
    """What a kept session reads of the new table, a new session after the kept one's write, the kept one at the end."""
    begin()
    session = kept(times, **options)
    moved()
    first = run(session, READ)
    run(session, WRITE)
    seen = first, run(connect(), READ)
    end(session)
    return *seen, run(session, READ)


def temporary(before):
    """What a session reads after it has created a temporary table of that name, before which it had created another."""
    begin()
    session = connect()
    if before:
        run(session, "CREATE TEMPORARY TABLE other ()")
    for _ in range(PREPARED):
        run(session, READ)
    run(operator, "INSERT INTO public.orders VALUES ('public')")
    run(session, "CREATE TEMPORARY TABLE orders AS SELECT 'temporary' AS whose")
    return run(session, READ)


def analyze(_):
    run(operator, "ANALYZE public.orders")


operator = connect()
found = {
    "psycopg, six times": after(analyze),
    "psycopg, six times, DISCARD PLANS": after(lambda session: run(session, "DISCARD PLANS")),
    "psycopg, four times": after(analyze, times=4),
    "psycopg, nothing is prepared": after(analyze, prepare_threshold=None),
    "psycopg2": after(analyze, driver=psycopg2),
}
for name, (first, new, last) in found.items():
    print(f"{name}: reads the table of: {first}; after its write a new session: {new}; in the end it reads: {last}")
own = temporary(before=False), temporary(before=True)
print(f"psycopg, after the session's own first temporary table it reads: {own[0]}; after its second: {own[1]}")
stale = "public", "tenant", "tenant"
fresh = "tenant", "tenant, written", "tenant, written"
expected = {
    "psycopg, six times": stale,
    "psycopg, six times, DISCARD PLANS": stale,
    "psycopg, four times": fresh,
    "psycopg, nothing is prepared": fresh,
    "psycopg2": fresh,
}
sys.exit(found != expected or own != ("temporary", "public"))
PYTHON
timeout 60 "$PY" "$ROOT/see.py" "$DSN_PORT"
