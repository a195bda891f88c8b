#!/bin/sh
# What surprises: idle_in_transaction_session_timeout never ends a transaction that idles in psycopg 3's pipeline. There,
# fetching a result asks the server to flush what it has, and no Sync is sent before the pipeline is left; the server
# takes itself to be idle only after a Sync. So an application that updates a row, reads the answer and then waits for
# something else holds its lock for as long as that takes: pg_stat_activity calls the session "active" with the UPDATE
# that has long been answered, statement_timeout no longer runs, and pg_cancel_backend() says true and does nothing.
# Without the pipeline the same calls are ended by the same setting. transaction_timeout ends both.
# Seen with psycopg 3.3.9, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages 'psycopg[binary]==3.3.9'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import contextlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

LIMIT, RESTS = 2, 5  # seconds
STATE = "SELECT state, wait_event, query LIKE 'UPDATE%%' FROM pg_stat_activity WHERE pid = %s"


def connect():
    return psycopg.connect(host="127.0.0.1", port=sys.argv[1], user="finder", dbname="postgres", autocommit=True)


def told(case):
    """The session's state while the application rests, whether its lock was free then, and what it heard at the end."""
    way, in_pipeline = case
    table = f"{way}_{in_pipeline}"
    application, operator = connect(), connect()
    operator.execute(f"CREATE TABLE {table} (stock int); INSERT INTO {table} VALUES (10)")
    if way != "pg_cancel_backend":
        application.execute(f"SET {way} = '{LIMIT}s'")
    pid = application.info.backend_pid
    said = "committed"
    try:
        with application.transaction():
            with application.pipeline() if in_pipeline else contextlib.nullcontext():
                assert application.execute(f"UPDATE {table} SET stock = 9 RETURNING stock").fetchone() == (9,)
                if way == "pg_cancel_backend":
                    assert operator.execute("SELECT pg_cancel_backend(%s)", [pid]).fetchone() == (True,)
                time.sleep(RESTS)
                state = operator.execute(STATE, [pid]).fetchone()
                free = operator.execute(f"SELECT FROM {table} FOR UPDATE SKIP LOCKED").fetchone() is not None
                assert application.execute(f"SELECT stock FROM {table}").fetchone() == (9,)
    except psycopg.OperationalError:
        said = "OperationalError"
    except psycopg.Error as error:
        said = error.sqlstate
    application.close()
    operator.close()
    return state, "lock free" if free else "lock held", said


held_active = (("active", "ClientRead", True), "lock held", "committed")
held_idle = (("idle in transaction", "ClientRead", True), "lock held", "committed")
EXPECTED = {
    ("idle_in_transaction_session_timeout", True): held_active,
    ("idle_in_transaction_session_timeout", False): (None, "lock free", "25P03"),
    ("statement_timeout", True): held_active,
    ("statement_timeout", False): held_idle,
    ("transaction_timeout", True): (None, "lock free", "OperationalError"),
    ("transaction_timeout", False): (None, "lock free", "25P04"),
    ("pg_cancel_backend", True): held_active,
    ("pg_cancel_backend", False): held_idle,
}
with ThreadPoolExecutor(len(EXPECTED)) as at_once:
    found = dict(zip(EXPECTED, at_once.map(told, EXPECTED)))
print(f"an UPDATE is answered, its application rests for {RESTS} s, each timeout {LIMIT} s:")
for (way, in_pipeline), what in found.items():
    print(f"  {way}, {'in a pipeline' if in_pipeline else 'no pipeline'}:", *what)
sys.exit(found != EXPECTED)
PYTHON
timeout 60 "$PY" "$ROOT/see.py" "$DSN_PORT"
