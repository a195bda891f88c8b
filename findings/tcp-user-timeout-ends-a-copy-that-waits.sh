#!/bin/sh
# What surprises: tcp_user_timeout also ends connections whose server lives and answers. It is set against silent losses,
# and a query that takes longer is not hurt by it: its bytes are acknowledged at once. A COPY FROM STDIN is hurt: while
# the server works on a row (a trigger, a lock), it does not read, its receive window closes, and the kernel counts the
# time for which the client's bytes wait although each of its window probes is acknowledged. The copy fails after
# tcp_user_timeout, and nothing of it is stored. Without the option the same copy ends well.
# Seen with psycopg2-binary 2.9.13 and psycopg 3.3.9, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages psycopg2-binary==2.9.13 'psycopg[binary]==3.3.9'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import io
import sys

import psycopg
import psycopg2

driver = {"psycopg2": psycopg2, "psycopg": psycopg}[sys.argv[1]]
port = sys.argv[2]
WORKS = 5  # seconds for which the server works on the first row
TIMEOUT = 1500  # milliseconds
TEXT = ("x" * 999 + "\n") * 40_000  # 40 MB: more than both ends' buffers hold


def connect(**options):
    return driver.connect(host="127.0.0.1", port=port, user="finder", dbname="postgres", **options)


with connect() as operator, operator.cursor() as cursor:
    cursor.execute("DROP TABLE IF EXISTS lines")
    cursor.execute("CREATE TABLE lines (text text)")
    cursor.execute(
        "CREATE OR REPLACE FUNCTION works() RETURNS trigger LANGUAGE plpgsql AS "
        f"'BEGIN IF NOT EXISTS (SELECT FROM lines) THEN PERFORM pg_sleep({WORKS}); END IF; RETURN NEW; END'"
    )
    cursor.execute("CREATE TRIGGER first BEFORE INSERT ON lines FOR EACH ROW EXECUTE FUNCTION works()")


def copy(cursor):
    if driver is psycopg2:
        cursor.copy_expert("COPY lines FROM STDIN", io.StringIO(TEXT))
    else:
        with cursor.copy("COPY lines FROM STDIN") as into:
            into.write(TEXT)


def query(cursor):
    cursor.execute("SELECT pg_sleep(%s)", [WORKS])


def told(work, **options):
    connection = connect(**options)
    try:
        with connection.cursor() as cursor:
            work(cursor)
        connection.rollback()
        return "done"
    except driver.OperationalError:
        return "OperationalError"
    finally:
        connection.close()


found = {
    "query": told(query, tcp_user_timeout=TIMEOUT),
    "copy": told(copy, tcp_user_timeout=TIMEOUT),
    "copy, no timeout": told(copy),
}
print(f"{sys.argv[1]}, the server works for {WORKS} s, tcp_user_timeout={TIMEOUT} ms: {found}")
sys.exit(found != {"query": "done", "copy": "OperationalError", "copy, no timeout": "done"})
PYTHON
for driver in psycopg2 psycopg; do timeout 120 "$PY" "$ROOT/see.py" "$driver" "$DSN_PORT"; done
