#!/bin/sh
# What surprises: client_connection_check_interval, set so that the server notices a client that has gone, keeps a
# statement from being ended by anything milder than pg_terminate_backend() while its client is there and does not read.
# A COPY TO STDOUT that is handed on row by row stands still in ClientWrite once the buffers are full, and there the
# server obeys no request to cancel: statement_timeout, transaction_timeout and pg_cancel_backend(), which answers true,
# all come to nothing, and the session keeps its locks until the client reads on. Without the setting they most often end
# it: the signal wakes the server, which finds room for one more write in the socket's last third (Linux calls a socket
# writable only when a third is free), goes on, and comes past a place where it does obey. With the setting the server is
# woken at each interval, and has filled that third before.
# Seen with psycopg 3.3.9, PostgreSQL 18.6, Linux. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages 'psycopg[binary]==3.3.9'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import fcntl
import struct
import sys
import termios
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

PORT = sys.argv[1]
LIMIT = 10  # seconds that each timeout allows
REST = 15  # seconds for which the client does not read
STILL = 3.0  # seconds for which nothing has come, so that all buffers are full
ROWS = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT"  # 100 MB: more than is buffered
LOCKS = "SELECT count(*) FROM pg_locks WHERE pid = %s AND relation = %s::regclass"
WAITS = "SELECT wait_event FROM pg_stat_activity WHERE pid = %s"


def connect():
    return psycopg.connect(host="127.0.0.1", port=PORT, user="finder", dbname="postgres", autocommit=True)


def unread(connection):
    return struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.FIONREAD, b"\0" * 4))[0]


def stand_still(reader, operator):
    """Wait until nothing comes any more; it has to be before LIMIT."""
    began = since = time.monotonic()
    there = -1
    while time.monotonic() < since + STILL:
        if time.monotonic() > began + LIMIT - 1:
            sys.exit("rows are still coming")
        if (now := unread(reader)) != there:
            there, since = now, time.monotonic()
        time.sleep(0.05)
    assert operator.execute(WAITS, [reader.info.backend_pid]).fetchone() == ("ClientWrite",)


def told(case):
    """What becomes of the lock while the client rests, and what the client hears when it reads on."""
    way, interval = case
    table = f"{way}_{interval}_ledger"
    reader, operator = connect(), connect()
    operator.execute(f"CREATE TABLE {table} (line text)")
    reader.execute(f"SET client_connection_check_interval = {interval}")
    if not way.startswith("pg_"):
        reader.execute(f"SET {way} = '{LIMIT}s'")
    heard = "all rows"
    try:
        with reader.transaction(), reader.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table}")
            with cursor.copy(ROWS) as rows:
                rows.read()
                began = time.monotonic()
                stand_still(reader, operator)
                if way.startswith("pg_"):
                    assert operator.execute(f"SELECT {way}(%s)", [reader.info.backend_pid]).fetchone() == (True,)
                time.sleep(began + REST - time.monotonic())
                (locks,) = operator.execute(LOCKS, [reader.info.backend_pid, table]).fetchone()
                for _ in rows:
                    pass
    except psycopg.Error as error:
        heard = error.sqlstate or type(error).__name__
    return "held" if locks else "released", heard


WAYS = {
    "statement_timeout": "57014",
    "transaction_timeout": "25P04",
    "pg_cancel_backend": "57014",
    "pg_terminate_backend": "OperationalError",
}
EXPECTED = {(way, 500): ("held", said) for way, said in WAYS.items()}
EXPECTED["pg_terminate_backend", 500] = ("released", "OperationalError")
BY_CHANCE = [(way, 0) for way in WAYS]  # released, unless the client has just made room: shown, and not asserted
with ThreadPoolExecutor(len(EXPECTED) + len(BY_CHANCE)) as at_once:
    cases = [*EXPECTED, *BY_CHANCE]
    found = dict(zip(cases, at_once.map(told, cases)))
print(f"a client that does not read for {REST} s, each timeout {LIMIT} s; its lock then, and what it hears afterwards:")
for (way, interval), (lock, said) in found.items():
    print(f"  client_connection_check_interval = {interval} ms, {way}: {lock}, {said}")
sys.exit({case: found[case] for case in EXPECTED} != EXPECTED)
PYTHON
timeout 120 "$PY" "$ROOT/see.py" "$DSN_PORT"
