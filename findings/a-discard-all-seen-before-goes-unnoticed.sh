#!/bin/sh
# What surprises: psycopg 3 looks for DISCARD ALL, by which the server forgets every prepared statement, and drops its
# own list of them when it comes; but only where it meets the text of that DISCARD ALL for the first time, or for the
# first time since it last dropped the list. One that it has counted before is not looked at. So a pool that resets its
# sessions by DISCARD ALL works while each session is new; once a session has been handed out so often that a statement
# of its clients is prepared, the next client that repeats this statement is told that there is no such statement. All
# of it with the defaults: psycopg prepares at the sixth execution. That DISCARD ALL drops the list came with psycopg's
# pull requests 1307 and 1409. No such error where nothing is prepared (prepare_threshold=None), nor where the first
# DISCARD ALL of a session finds something prepared already: that one, and the next one, are noticed.
# Seen with psycopg 3.3.9, psycopg_pool 3.3.1, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages 'psycopg[binary]==3.3.9' 'psycopg-pool==3.3.1'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import sys

import psycopg
from psycopg_pool import ConnectionPool

DSN = f"host=127.0.0.1 port={sys.argv[1]} user=finder dbname=postgres"
CLIENTS = 20


def served(executions, **options):
    """How many clients in a row were served, each of which runs one statement so often, and what the next one got."""
    kwargs = {"autocommit": True, **options}
    with ConnectionPool(DSN, min_size=1, max_size=1, kwargs=kwargs, reset=lambda c: c.execute("DISCARD ALL")) as pool:
        for number in range(CLIENTS):
            try:
                with pool.connection() as connection:
                    for _ in range(executions):
                        connection.execute("SELECT 1")
            except psycopg.errors.InvalidSqlStatementName as error:
                return number, str(error)
    return CLIENTS, ""


seen = {
    "once each": served(1),
    "once each, nothing is prepared": served(1, prepare_threshold=None),
    "seven times each": served(7),
}
for name, (number, error) in seen.items():
    print(f"{name}: {number} of {CLIENTS} clients were served{error and f'; the next one: {error}'}")
number, error = seen["once each"]
as_described = (
    number == 6
    and error == 'prepared statement "_pg3_0" does not exist'
    and seen["once each, nothing is prepared"] == (CLIENTS, "")
    and seen["seven times each"] == (CLIENTS, "")
)
sys.exit(0 if as_described else 1)
PYTHON
"$PY" "$ROOT/see.py" "$DSN_PORT"
