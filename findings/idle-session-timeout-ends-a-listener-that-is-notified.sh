#!/bin/sh
# What surprises: idle_session_timeout counts a session that LISTENs as idle however many notifications it is sent. The
# time runs from its last statement: a consumer that has just been told something is ended all the same, and what is
# sent until it has come back and listens again is lost. It does not hear why, either: psycopg 3 reads the end of the
# connection before it looks at the server's message, so that the error has no SQLSTATE (57P05 would be it).
# Seen with psycopg 3.3.9, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages 'psycopg[binary]==3.3.9'
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import sys
import time

import psycopg

PORT = sys.argv[1]
LIMIT = 3.0  # seconds of idle_session_timeout
EVERY = 0.2  # seconds between two notifications
LONGEST = 4 * LIMIT


def connect():
    return psycopg.connect(host="127.0.0.1", port=PORT, user="finder", dbname="postgres", autocommit=True)


sender, listener = connect(), connect()
listener.execute(f"SET idle_session_timeout = '{LIMIT:g}s'")
listener.execute("LISTEN news")
began = last = time.monotonic()
heard, longest, error = 0, 0.0, None
try:
    while time.monotonic() < began + LONGEST:
        sender.execute("NOTIFY news")
        for _ in listener.notifies(timeout=EVERY):
            longest = max(longest, time.monotonic() - last)
            last = time.monotonic()
            heard += 1
except psycopg.OperationalError as ended:
    error = ended
lived = time.monotonic() - began
print(f"idle_session_timeout = {LIMIT:g} s: {heard} notifications, never more than {longest:.1f} s apart; ", end="")
print(f"ended after {lived:.1f} s: {type(error).__name__}, SQLSTATE {error and error.sqlstate}")
as_described = error is not None and error.sqlstate is None and heard > 5 and longest < LIMIT / 2 and lived < 2 * LIMIT
sys.exit(not as_described)
PYTHON
timeout 60 "$PY" "$ROOT/see.py" "$DSN_PORT"
